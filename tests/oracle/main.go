// SPDX-License-Identifier: Apache-2.0

// What the real engine makes of templates: consul-template's own package with a filled brain. `answers` writes the
// cases and their answers, `doubles FIRST` a list of floats and how Go prints them.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"

	dep "github.com/hashicorp/consul-template/dependency"
	ct "github.com/hashicorp/consul-template/template"
	"github.com/hashicorp/vault/api"
)

// The moment that timestamp shows.
var now = time.Date(2026, 1, 2, 15, 4, 5, 678000000, time.UTC)

type testCase struct {
	Name     string  `json:"name"`
	Template string  `json:"template"`
	Left     string  `json:"left,omitempty"`
	Right    string  `json:"right,omitempty"`
	Missing  bool    `json:"missing,omitempty"`
	Output   *string `json:"output"` // null: it fails
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func secret(raw json.RawMessage) *dep.Secret {
	theirs, err := api.ParseSecret(bytes.NewReader(raw))
	check(err)
	ours := &dep.Secret{
		RequestID: theirs.RequestID, LeaseID: theirs.LeaseID, LeaseDuration: theirs.LeaseDuration,
		Renewable: theirs.Renewable, Warnings: theirs.Warnings,
	}
	if len(theirs.Data) != 0 {
		ours.Data = theirs.Data
	}
	return ours
}

func list(raw json.RawMessage) []string {
	var reply struct{ Data struct{ Keys []string } }
	check(json.Unmarshal(raw, &reply))
	sort.Strings(reply.Data.Keys)
	return reply.Data.Keys
}

func fill(path string) *ct.Brain {
	raw, err := os.ReadFile(path)
	check(err)
	var answers map[string]json.RawMessage
	check(json.Unmarshal(raw, &answers))
	brain := ct.NewBrain()
	for key, value := range answers {
		verb, rest, found := strings.Cut(key, " ")
		switch {
		case !found:
			query, err := dep.NewVaultReadQuery(key)
			check(err)
			brain.Remember(query, secret(value))
		case verb == "PUT":
			query, err := dep.NewVaultWriteQuery(rest, map[string]interface{}{"a": "1", "b": "two"})
			check(err)
			brain.Remember(query, secret(value))
		case verb == "LIST":
			query, err := dep.NewVaultListQuery(rest)
			check(err)
			brain.Remember(query, list(value))
		case verb == "FILE":
			var text string
			check(json.Unmarshal(value, &text))
			query, err := dep.NewFileQuery(rest)
			check(err)
			brain.Remember(query, text)
		}
	}
	return brain
}

func timestamp(layout ...string) (string, error) {
	switch {
	case len(layout) > 1:
		return "", fmt.Errorf("too many")
	case len(layout) == 0:
		return now.Format(time.RFC3339), nil
	case layout[0] == "unix":
		return strconv.FormatInt(now.Unix(), 10), nil
	}
	return now.Format(layout[0]), nil
}

// Nil where it fails, or where something that it asks for is not there.
func run(brain *ct.Brain, one testCase) (output *string) {
	defer func() {
		if recover() != nil {
			output = nil
		}
	}()
	made, err := ct.NewTemplate(&ct.NewTemplateInput{
		Contents: one.Template, LeftDelim: one.Left, RightDelim: one.Right, ErrMissingKey: one.Missing,
		ExtFuncMap: template.FuncMap{"timestamp": timestamp},
	})
	if err != nil {
		return nil
	}
	result, err := made.Execute(&ct.ExecuteInput{Brain: brain, Env: []string{"HOME=/home/x", "EMPTY="}})
	if err != nil || result.Missing.Len() > 0 {
		return nil
	}
	text := string(result.Output)
	return &text
}

func name(one testCase) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q %q %q %v", one.Template, one.Left, one.Right, one.Missing)))
	return hex.EncodeToString(sum[:4])
}

// Hand-written cases: a line each in lines*.txt, whole texts in *.tmpl.
func written(folder string) (cases []testCase) {
	lines, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	check(err)
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		check(err)
		for _, line := range strings.Split(string(raw), "\n") {
			if line != "" && !strings.HasPrefix(line, "# ") {
				cases = append(cases, testCase{Template: line})
				if strings.Contains(line, ".") && strings.Contains(path, "language") {
					cases = append(cases, testCase{Template: line, Missing: true})
				}
			}
		}
	}
	texts, err := filepath.Glob(filepath.Join(folder, "*.tmpl"))
	check(err)
	for _, path := range texts {
		raw, err := os.ReadFile(path)
		check(err)
		one := testCase{Template: string(raw)}
		if strings.HasSuffix(path, ".angle.tmpl") {
			one.Left, one.Right = "<<", ">>"
		}
		cases = append(cases, one)
	}
	return cases
}

func answers(folder string) {
	brain := fill(filepath.Join(folder, "data.json"))
	cases := written(filepath.Join(folder, "cases"))
	random := rand.New(rand.NewSource(20260102))
	count := len(cases)
	for i := 0; i < 1500; i++ {
		cases = append(cases, testCase{Template: generate(random)})
	}
	for i := 0; i < 2500; i++ {
		one := cases[random.Intn(count+i/5)]
		one.Template = mutate(random, one.Template, cases[random.Intn(count)].Template)
		cases = append(cases, one)
	}
	seen := map[string]bool{}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	fmt.Println("[")
	first := true
	for _, one := range cases {
		one.Name = name(one)
		if seen[one.Name] || one.Template == "" || !isText(one.Template) {
			continue
		}
		seen[one.Name] = true
		one.Output = run(brain, one)
		if one.Output != nil && (len(*one.Output) > 20000 || !isText(*one.Output) || strings.Contains(*one.Output, "0xc0")) {
			continue // large, an address, or bytes that JSON cannot hold
		}
		if !first {
			fmt.Print(",")
		}
		first = false
		check(out.Encode(one))
	}
	fmt.Println("]")
}

func isText(text string) bool {
	return strings.ToValidUTF8(text, "") == text && !strings.ContainsRune(text, 0)
}

// 50 000 floats: bit patterns, powers of two and their neighbours, short decimals.
func doubles(seed int64) {
	random := rand.New(rand.NewSource(seed))
	values := []float64{}
	for len(values) < 50000 {
		value := math.Float64frombits(random.Uint64())
		switch len(values) % 5 {
		case 1:
			value = math.Ldexp(1, random.Intn(2098)-1074)
		case 2:
			value = math.Nextafter(math.Ldexp(1, random.Intn(2098)-1074), float64(random.Intn(2)))
		case 3:
			value = float64(random.Intn(1000000)) / math.Pow10(random.Intn(12))
		}
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			values = append(values, value)
		}
	}
	var text strings.Builder
	for i, value := range values {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.FormatFloat(value, 'e', 16, 64))
	}
	data, err := json.Marshal(map[string]string{"FILE doubles": "[" + text.String() + "]"})
	check(err)
	check(os.WriteFile(os.Args[3], data, 0o600))
	for _, value := range values {
		json, err := json.Marshal(value)
		check(err)
		fmt.Printf("%v %s %.3g\n", value, json, value)
	}
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "doubles" {
		seed, err := strconv.ParseInt(os.Args[2], 10, 64)
		check(err)
		doubles(seed)
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "answers" {
		answers(os.Args[2])
		return
	}
	fmt.Fprintln(os.Stderr, "usage: oracle answers FOLDER | doubles SEED DATA_FILE")
	os.Exit(64)
}
