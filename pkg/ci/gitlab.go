package ci

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/atomicfile"
)

// GitLab refuses a report of 5 KB (docs: instance limits), and with it the job: three
// steps that share a file fit, as only those values are long that may be cut.
const dotenvValue = 1 << 10

// writeDotenv puts results into a dotenv report (GitLab docs: artifacts:reports:dotenv):
// KEY=value, one a line, no quotes, keys of letters, digits and underscores.
// Lines of other keys stay, so that several steps can share one file. GitLab
// expands variables in a value: $ is spelt \x24.
func (h *Host) dotenv(file string, results Results) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := map[string]bool{}
	for _, r := range results {
		ours[dotenvKey(r.Name)] = true
	}
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(old))
	for lines.Scan() {
		key, _, _ := strings.Cut(lines.Text(), "=")
		if !ours[key] {
			fmt.Fprintln(&out, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read dotenv %s: %w", file, err)
	}
	for _, r := range results {
		value := h.fit(r, "dotenv report", dotenvValue)
		fmt.Fprintf(&out, "%s=%s\n", dotenvKey(r.Name), strings.ReplaceAll(value, "$", `\x24`))
	}
	return atomicfile.Write(file, out.Bytes())
}

func dotenvKey(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
