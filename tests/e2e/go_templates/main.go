// SPDX-License-Identifier: Apache-2.0

// What Go's own template engine makes of a server's replies with the two default templates of injected Vault Agents:
// an answer per line of standard input, a line {"map":…,"json":…} on standard output for each.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type secret struct {
	Data map[string]interface{}
}

const (
	mapText  = `{{ with secret "path" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}{{ "\n" }}{{ end }}{{ end }}`
	jsonText = `{{ with secret "path" }}{{ .Data | toJSON }}{{ "\n" }}{{ end }}`
)

// As consul-template's function of that name does.
func toJSON(value interface{}) (string, error) {
	text, err := json.Marshal(value)
	return string(bytes.TrimSpace(text)), err
}

func render(text string, of *secret) string {
	var out strings.Builder
	functions := template.FuncMap{"secret": func(string) *secret { return of }, "toJSON": toJSON}
	if err := template.Must(template.New("").Funcs(functions).Parse(text)).Execute(&out, nil); err != nil {
		panic(err)
	}
	return out.String()
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	encoder := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return
		}
		answer := &secret{}
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := encoder.Encode(map[string]string{"map": render(mapText, answer), "json": render(jsonText, answer)}); err != nil {
			panic(err)
		}
	}
}
