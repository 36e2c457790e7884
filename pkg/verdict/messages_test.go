package verdict

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryMessageIsDocumented: docs/kernel-messages.md has an example of each
// log line that a verdict can hold.
func TestEveryMessageIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/kernel-messages.md")
	require.NoError(t, err)
	var examples []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(string(doc), -1) {
		examples = append(examples, strings.ReplaceAll(m[1], `\|`, "|")) // a bar in a cell of a table
	}
	formats := append(saidIn(t, "."), constantsOf(t, "../kmod/inkernel.go")...)
	require.Greater(t, len(formats), 45)
	for _, f := range formats {
		re := regexp.MustCompile("^" + regexp.MustCompile(`%[sdx]`).ReplaceAllString(regexp.QuoteMeta(f), ".+") + "$")
		assert.True(t, slices.ContainsFunc(examples, re.MatchString), "docs/kernel-messages.md lacks %q", f)
	}
}

// TestEveryRuleIsDocumented: docs/verify.md has a row for each.
func TestEveryRuleIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/verify.md")
	require.NoError(t, err)
	for _, r := range Rules() {
		assert.Contains(t, string(doc), "\n| `"+r.Name+"` | "+r.About+" | "+r.Source+" |\n")
	}
}

// saidIn finds the lines that the package's code says.
func saidIn(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var out []string
	for _, n := range names {
		if strings.HasSuffix(n, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), n, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"say", "sayLine", "onlyAuthenticode", "broken"}, sel.Sel.Name) {
				return true
			}
			if s := text(call.Args[0]); s != "" && s != "%s" {
				out = append(out, s)
			}
			return true
		})
	}
	return out
}

// constantsOf are the string constants of a file that are sentences.
func constantsOf(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	var out []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			for _, v := range s.(*ast.ValueSpec).Values {
				if c := text(v); strings.Contains(c, " ") {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// text is a string literal's value without what a terminal does not show.
func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(s, "\x7f", "")
}
