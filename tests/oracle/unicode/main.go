// SPDX-License-Identifier: Apache-2.0

// Writes agent/template/unicode_tables.inc: what Go takes for letters, digits and printable characters, and its
// case mappings.
package main

import (
	"fmt"
	"unicode"
)

func ranges(name string, holds func(rune) bool) {
	fmt.Printf("static const struct range %s[] = {\n", name)
	column := 0
	for first := rune(0); first <= unicode.MaxRune; first++ {
		if !holds(first) {
			continue
		}
		last := first
		for last < unicode.MaxRune && holds(last+1) {
			last++
		}
		fmt.Printf("{0x%x,0x%x},", first, last)
		if column++; column%8 == 0 {
			fmt.Println()
		}
		first = last
	}
	fmt.Printf("\n};\n\n")
}

// Runs of characters whose mapping is the same distance away; step 2 where only every other one has a mapping.
func mapping(name string, to func(rune) rune) {
	fmt.Printf("static const struct shift %s[] = {\n", name)
	column := 0
	for first := rune(0x80); first <= unicode.MaxRune; first++ {
		distance := to(first) - first
		if distance == 0 {
			continue
		}
		last, step := first, rune(0)
		for _, try := range []rune{1, 2} {
			end := first
			for to(end+try)-(end+try) == distance && (try == 1 || to(end+1) == end+1) {
				end += try
			}
			if end > last {
				last, step = end, try
			}
		}
		if step == 0 {
			step = 1
		}
		fmt.Printf("{0x%x,0x%x,%d,%d},", first, last, distance, step)
		if column++; column%5 == 0 {
			fmt.Println()
		}
		first = last
	}
	fmt.Printf("\n};\n\n")
}

func main() {
	fmt.Printf("/* SPDX-License-Identifier: Apache-2.0 */\n/* Unicode %s; written by tests/oracle/unicode, `make oracle`. */\n", unicode.Version)
	fmt.Println("/* clang-format off */")
	ranges("letters", unicode.IsLetter)
	ranges("digits", unicode.IsDigit)
	ranges("printable", unicode.IsPrint)
	mapping("upper", unicode.ToUpper)
	mapping("lower", unicode.ToLower)
	mapping("title", unicode.ToTitle)
}
