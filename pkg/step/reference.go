package step

import (
	"fmt"
	"io"
	"strings"
)

// Reference writes the page docs/reference/<step>.md: what --help says, as
// Markdown. A test keeps the pages equal to it.
func Reference(w io.Writer, cmd Command) error {
	a := cmd.About()
	flags, err := Flags(cmd)
	if err != nil {
		return err
	}
	out := &strings.Builder{}
	fmt.Fprintf(out, "# %s\n\n%s.\n\n%s\n\n```\n", a.Name, strings.ToUpper(a.Summary[:1])+a.Summary[1:], wrapText(a.Long, 80, ""))
	for _, u := range a.Usage {
		fmt.Fprintf(out, "%s %s\n", a.Name, u)
	}
	fmt.Fprintf(out, "```\n\n## Flags\n\n| flag | environment | default | |\n|---|---|---|---|\n")
	for _, f := range flags {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", code(spell(f)), code(f.Env), code(f.Default), cell(reference(f)))
	}
	fmt.Fprintf(out, "\nDefault < environment < flag. In the environment the values of a repeatable flag stand on\n"+
		"lines of their own.\n\n## Examples\n\n```\n")
	for _, e := range a.Examples {
		fmt.Fprintf(out, "# %s\n%s\n", e.Text, e.Line)
	}
	fmt.Fprintf(out, "```\n\n## Exit codes\n\n| code | |\n|---|---|\n")
	for _, c := range append([]int{0, 1, 2}, a.Codes...) {
		fmt.Fprintf(out, "| %d | %s |\n", c, Meanings()[c])
	}
	fmt.Fprintf(out, "\nSee [exit codes](../exit-codes.md).\n")
	_, err = io.WriteString(w, out.String())
	return err
}

func reference(f Flag) string {
	if f.Required {
		return f.Help + " **Required.**"
	}
	return f.Help
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
