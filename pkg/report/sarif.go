package report

import (
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
)

// SARIF writes what is wrong in r as SARIF 2.1.0: a result for each module
// that would not load (error) and for each warning (warning).
func SARIF(w io.Writer, r *Report) error {
	results := []any{}
	rules := map[string]bool{}
	for i := range r.Modules {
		m := &r.Modules[i]
		if m.Bad() {
			rules[m.Verdict] = true
			results = append(results, sarifResult(m, m.Verdict, "error", sentence(m)))
		}
		for _, text := range m.Warnings {
			rules["warning"] = true
			results = append(results, sarifResult(m, "warning", "warning", Plain(text)))
		}
	}
	log := map[string]any{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": sarifDriver(r, rules)},
			"results": results,
		}},
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(log)
}

func sarifDriver(r *Report, rules map[string]bool) map[string]any {
	list := []any{}
	for _, id := range sortedKeys(rules) {
		list = append(list, map[string]any{
			"id":               id,
			"shortDescription": map[string]any{"text": ruleText(id)},
			"helpUri":          "https://github.com/kmodseal/kmodseal/blob/main/docs/exit-codes.md",
		})
	}
	return map[string]any{
		"name":           r.Step,
		"informationUri": "https://github.com/kmodseal/kmodseal",
		"rules":          list,
	}
}

func ruleText(id string) string {
	if id == "warning" {
		return "The kernel does not mind, people may."
	}
	return "The kernel refuses the module: " + strings.ReplaceAll(id, "-", " ") + "."
}

func sarifResult(m *Module, rule, level, message string) map[string]any {
	return map[string]any{
		"ruleId":  rule,
		"level":   level,
		"message": map[string]any{"text": message},
		"locations": []any{map[string]any{"physicalLocation": map[string]any{
			"artifactLocation": map[string]any{"uri": fileURI(m.Path)},
			"region":           map[string]any{"startLine": 1},
		}}},
		"partialFingerprints": map[string]any{"module/v1": rule + ":" + Plain(m.Platform+":"+m.Path)},
	}
}

// sentence is reason, kernel message and hint in one text.
func sentence(m *Module) string {
	parts := []string{Plain(m.Reason)}
	if m.Dmesg != "" {
		parts = append(parts, "Kernel: "+Plain(m.Dmesg))
	}
	if m.Hint != "" {
		parts = append(parts, "Hint: "+Plain(m.Hint))
	}
	return strings.Join(parts, "\n")
}

// fileURI is the path as a relative URI reference (RFC 3986 section 4.2): each
// segment escaped, so that a colon in the first one makes no scheme.
func fileURI(path string) string {
	parts := strings.Split(strings.TrimLeft(path, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(p), ":", "%3A")
	}
	return strings.Join(parts, "/")
}

func sortedKeys(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
