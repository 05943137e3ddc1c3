// SPDX-License-Identifier: Apache-2.0

// Random templates: by a grammar whose operands mostly have the type that is wanted, and by mutation.
package main

import (
	"fmt"
	"math/rand"
	"strings"
)

func pick(random *rand.Rand, of ...string) string {
	return of[random.Intn(len(of))]
}

func str(random *rand.Rand, depth int) string {
	if depth <= 0 || random.Intn(3) == 0 {
		return pick(random, `"a,b,c"`, `"Héllo wörld"`, "`raw \\n`", `""`, `" x "`, `$s`, `$d.user`, `$d.html`, `$d.multi`,
			`"a=1&b=2"`, `"YQ=="`, `"tab\tnew\n"`, `"\u00e9\x41"`)
	}
	s := func() string { return str(random, depth-1) }
	return "(" + pick(random,
		"toUpper "+s(), "toLower "+s(), "toTitle "+s(), "trimSpace "+s(), "trim "+s()+" "+s(),
		"trimPrefix "+s()+" "+s(), "trimSuffix "+s()+" "+s(), "replaceAll "+s()+" "+s()+" "+s(),
		"base64Encode "+s(), "base64Decode "+s(), "base64URLEncode "+s(), "join "+s()+" "+strs(random, depth-1),
		"print "+anything(random, depth-1)+" "+anything(random, depth-1), "println "+anything(random, depth-1),
		"printf "+format(random)+" "+anything(random, depth-1)+" "+anything(random, depth-1), "printf "+format(random)+" "+anything(random, depth-1),
		"html "+anything(random, depth-1), "js "+anything(random, depth-1), "urlquery "+anything(random, depth-1),
		"toJSON "+anything(random, depth-1), "toJSONPretty "+anything(random, depth-1), "toUnescapedJSON "+anything(random, depth-1),
		"toUnescapedJSONPretty "+anything(random, depth-1), "sha256Hex "+s(), "md5sum "+s(), "hmacSHA256Hex "+s()+" "+s(),
		"indent "+pick(random, "0", "2", "4")+" "+s(), "slice "+s()+" 0 1",
		`regexReplaceAll "[aeiou]" "<$0>" `+s(), `regexReplaceAll "(\\w)(\\w)" "$2${1}x" `+s(), "envOrDefault "+s()+" "+s()) + ")"
}

func format(random *rand.Rand) string {
	flags := ""
	for random.Intn(3) == 0 {
		flags += pick(random, "+", "-", "#", " ", "0")
	}
	if random.Intn(3) == 0 {
		flags += pick(random, "1", "5", "12")
	}
	if random.Intn(4) == 0 {
		flags += pick(random, ".0", ".2", ".5", ".")
	}
	verb := pick(random, "v", "d", "s", "q", "x", "X", "f", "g", "e", "t", "c", "U", "b", "o", "O", "T", "z", "%")
	return fmt.Sprintf("\"%s%%%s%s%s\"", pick(random, "", "<", "é"), flags, verb, pick(random, "", ">", "|%v"))
}

func integer(random *rand.Rand, depth int) string {
	if depth <= 0 || random.Intn(2) == 0 {
		return pick(random, "0", "1", "-1", "7", "42", "1000000", "'a'", "0x1f", "$i", "9223372036854775807")
	}
	return "(" + pick(random, "len "+str(random, depth-1), "len "+items(random, depth-1),
		pick(random, "add", "subtract", "multiply", "divide", "modulo", "minimum", "maximum")+" "+number(random, depth-1)+" "+number(random, depth-1),
		`parseInt "12"`, `parseUint "18446744073709551615"`) + ")"
}

func number(random *rand.Rand, depth int) string {
	if random.Intn(3) == 0 {
		return pick(random, "1.5", "-0.25", "1e6", "3.0", "1e21", "1e-7", `(parseFloat "2.5")`, `(parseUint "3")`)
	}
	return integer(random, depth)
}

func boolean(random *rand.Rand, depth int) string {
	if depth <= 0 || random.Intn(3) == 0 {
		return pick(random, "true", "false", "$d.yes", `(parseBool "t")`)
	}
	return "(" + pick(random,
		pick(random, "eq", "ne", "lt", "le", "gt", "ge")+" "+integer(random, depth-1)+" "+integer(random, depth-1),
		pick(random, "eq", "ne", "lt", "le", "gt", "ge")+" "+str(random, depth-1)+" "+str(random, depth-1),
		pick(random, "eq", "ne")+" "+anything(random, depth-1)+" "+anything(random, depth-1),
		"eq "+str(random, depth-1)+" "+str(random, depth-1)+" "+str(random, depth-1),
		"not "+anything(random, depth-1), pick(random, "and", "or")+" "+anything(random, depth-1)+" "+anything(random, depth-1),
		"contains "+str(random, depth-1)+" "+anything(random, depth-1), "in "+anything(random, depth-1)+" "+anything(random, depth-1),
		`regexMatch "^[a-z]+" `+str(random, depth-1),
		pick(random, "containsAll", "containsAny", "containsNone", "containsNotAll")+" $d.list "+anything(random, depth-1)) + ")"
}

func strs(random *rand.Rand, depth int) string {
	return "(split " + pick(random, `","`, `"="`, `""`, `" "`) + " " + str(random, depth) + ")"
}

func items(random *rand.Rand, depth int) string {
	return pick(random, "$d.list", "$d.empty", "$d.matrix", strs(random, depth), `(parseJSON "[1,2.5,\"x\",null]")`, `(secrets "dir")`)
}

func mapping(random *rand.Rand, depth int) string {
	return pick(random, "$d", "$d.map", "$m", `(parseJSON "{\"b\":1,\"a\":[true]}")`, `(splitToMap "&" "=" "a=1&b=2")`, `(explodeMap $d.paths)`)
}

func anything(random *rand.Rand, depth int) string {
	switch random.Intn(9) {
	case 0:
		return number(random, depth)
	case 1:
		return boolean(random, depth)
	case 2:
		return items(random, depth)
	case 3:
		return mapping(random, depth)
	case 4:
		return pick(random, "$d.int", "$d.real", "$d.huge", "$d.nil", "$d.none", "nil", "$d.exp", "$")
	case 5:
		return "(index " + mapping(random, depth) + " " + pick(random, `"a"`, `"user"`, `"b"`) + ")"
	default:
		return str(random, depth)
	}
}

func block(random *rand.Rand, depth int) string {
	if depth <= 0 {
		return pick(random, "text ", " \n ", "{{ . }}", "{{- . -}}", "{{ "+anything(random, 2)+" }}", "{{ "+str(random, 2)+" }}")
	}
	inner := func() string {
		text := ""
		for i := random.Intn(3); i >= 0; i-- {
			text += block(random, depth-1-random.Intn(2))
		}
		return text
	}
	trim := func() string { return pick(random, "{{ ", "{{- ", "{{") }
	end := func() string { return pick(random, " }}", " -}}", "}}") }
	tag := func(text string) string { return trim() + text + end() }
	switch random.Intn(9) {
	case 0:
		return tag("if "+boolean(random, 2)) + inner() + tag("else if "+anything(random, 1)) + inner() + tag("else") + inner() + tag("end")
	case 1:
		return tag("range "+items(random, 1)) + inner() + tag("else") + inner() + tag("end")
	case 2:
		return tag("range $k, $v := "+mapping(random, 1)) + "{{ $k }}={{ $v }};" + inner() + tag("end")
	case 3:
		return tag("range $i := "+pick(random, "3", "(loop 2 5)", `(loop "3")`, "0")) + inner() + pick(random, "{{ break }}", "{{ if eq $i 1 }}{{ continue }}{{ end }}", "") + inner() + tag("end")
	case 4:
		return tag("with "+anything(random, 2)) + inner() + tag(pick(random, "else", "else with "+anything(random, 1))) + inner() + tag("end")
	case 5:
		return tag("$s = "+str(random, 2)) + inner()
	case 6:
		return tag("template \"t\" "+anything(random, 1)) + tag(`executeTemplate "t" `+anything(random, 1))
	case 7:
		return tag(anything(random, 2)+" | "+pick(random, "print", "toJSON", "printf "+format(random), "len", "toUpper", "html", "not", "eq 1", "trimSpace"))
	default:
		return tag(str(random, 3))
	}
}

func generate(random *rand.Rand) string {
	text := `{{ $s := "start" }}{{ $i := 3 }}{{ $d := (secret "kv/all").Data }}{{ $m := $d.map }}{{ define "t" }}[{{ . }}]{{ end }}`
	for i := random.Intn(3); i >= 0; i-- {
		text += block(random, 2)
	}
	return text
}

func mutate(random *rand.Rand, text, other string) string {
	pieces := []string{"{{", "}}", " ", "-", "|", "(", ")", ".", "$", `"`, "end", "else", "if ", "range ", "with ", ":=", "=", "\n",
		"{{ end }}", "{{ else }}", " -}}", "{{- ", "/*", "*/", "0", "nil", "'", "`", ",", "x", "é", "{{ break }}"}
	for i := random.Intn(3); i >= 0; i-- {
		if text == "" {
			return text
		}
		at := random.Intn(len(text))
		to := min(len(text), at+1+random.Intn(4))
		switch random.Intn(5) {
		case 0:
			text = text[:at] + text[to:]
		case 1:
			text = text[:at] + pieces[random.Intn(len(pieces))] + text[at:]
		case 2:
			text = text[:to] + text[at:]
		case 3:
			from := random.Intn(len(other) + 1)
			text = text[:at] + other[from:min(len(other), from+1+random.Intn(20))] + text[to:]
		default:
			fields := strings.SplitAfter(text, " ")
			one, two := random.Intn(len(fields)), random.Intn(len(fields))
			fields[one], fields[two] = fields[two], fields[one]
			text = strings.Join(fields, "")
		}
	}
	return text
}
