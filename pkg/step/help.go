package step

import (
	"fmt"
	"io"
	"strings"
)

// docs is where --help points to.
const docs = "https://github.com/kmodseal/kmodseal/tree/main/docs"

// Meanings are the exit codes with what they stand for (docs/exit-codes.md).
func Meanings() []string {
	return []string{
		"done",
		"internal error or I/O, or interrupted",
		"wrong flags or arguments",
		"input refused: no module, no match, not a module, unsafe path, damaged archive",
		"key or certificate refused",
		"unsigned module",
		"signature by an unknown key, or of a kind that the target kernel cannot check",
		"damaged module: tampered, malformed, or signed after compression",
		"module for another kernel or architecture",
		"registry or authentication",
	}
}

func writeHelp(w io.Writer, cmd Command) error {
	a := cmd.About()
	flags, err := Flags(cmd)
	if err != nil {
		return err
	}
	out := &strings.Builder{}
	fmt.Fprintf(out, "%s - %s\n\n%s\n\nUsage:\n", a.Name, a.Summary, wrapText(a.Long, 80, ""))
	for _, u := range a.Usage {
		fmt.Fprintf(out, "  %s %s\n", a.Name, u)
	}
	group := ""
	for _, f := range flags {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(out, "\n%s:\n", strings.ToUpper(group[:1])+group[1:])
		}
		fmt.Fprintf(out, "  %s\n      %s\n", spell(f), wrapText(remark(f), 80, "      "))
	}
	fmt.Fprintf(out, "\nEvery flag can be set in the environment: --log-format is KMODSEAL_LOG_FORMAT.\n"+
		"A repeatable flag's values stand there on lines of their own. A flag wins.\n\nExamples:\n")
	for _, e := range a.Examples {
		fmt.Fprintf(out, "  # %s\n  %s\n", e.Text, e.Line)
	}
	fmt.Fprintf(out, "\nExit codes:\n")
	for _, code := range append([]int{0, 1, 2}, a.Codes...) {
		fmt.Fprintf(out, "  %d  %s\n", code, Meanings()[code])
	}
	fmt.Fprintf(out, "\nMore: %s\n", docs)
	_, err = io.WriteString(w, out.String())
	return err
}

// spell is the flag as it is written: -q, --quiet or --key=KEY ...
func spell(f Flag) string {
	s := "--" + f.Name
	if f.Short != "" {
		s = "-" + f.Short + ", " + s
	}
	switch {
	case f.Bool:
	case f.Placeholder != "":
		s += " " + f.Placeholder
	case len(f.Enum) > 0:
		s += " " + strings.Join(f.Enum, "|")
	default:
		s += " " + strings.ToUpper(f.Name)
	}
	if f.Repeatable {
		s += " ..."
	}
	return s
}

func remark(f Flag) string {
	s := f.Help
	if f.Required {
		s += " Required."
	}
	if f.Default != "" {
		s += fmt.Sprintf(" Default: %s.", f.Default)
	}
	return s
}

// wrapText breaks text into lines of at most width columns, later ones behind indent.
func wrapText(text string, width int, indent string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(indent)+len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n"+indent)
}

// usageLine is the first usage of cmd on one line.
func usageLine(cmd Command) string {
	a := cmd.About()
	return fmt.Sprintf("usage: %s %s", a.Name, a.Usage[0])
}
