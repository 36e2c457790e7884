package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	Begin(&b)
	Fact(&b, "LOCKDOWN", "none")
	Answer{Name: "a", Result: "EBADMSG", Lines: []string{"one", "two"}}.Write(&b)
	Note(&b, "for %s", "people")
	whole := "firmware noise\r\n" + strings.ReplaceAll(b.String(), "\n", "\r\n")

	log, err := ReadLog(strings.NewReader(whole))
	require.NoError(t, err)
	assert.False(t, log.Complete, "no end: no result")
	assert.Equal(t, Answer{"a", "EBADMSG", []string{"one", "two"}}, log.Answers["a"])
	assert.Equal(t, "none", log.Facts["LOCKDOWN"])

	End(&b)
	log, err = ReadLog(&b)
	require.NoError(t, err)
	assert.True(t, log.Complete)
}

func TestEndWithoutBegin(t *testing.T) {
	t.Parallel()
	log, err := ReadLog(strings.NewReader("@@END\n"))
	require.NoError(t, err)
	assert.False(t, log.Complete)
}

func TestJobs(t *testing.T) {
	t.Parallel()
	jobs := []Job{{"a", Finit, "/m/a.ko", "-"}, {"b", Fuzz, "/m/b.ko", "1:2"}}
	var b bytes.Buffer
	require.NoError(t, WriteJobs(&b, jobs))
	got, err := ReadJobs(&b)
	require.NoError(t, err)
	assert.Equal(t, jobs, got)
	_, err = ReadJobs(strings.NewReader("a\tb\n"))
	assert.Error(t, err)
}

func TestVerdictLines(t *testing.T) {
	t.Parallel()
	a := Answer{Lines: []string{
		"sbprobe: init ran", "Loading of unsigned module is rejected", "x: loading out-of-tree module taints kernel.",
		"x: no versions for exported symbols: kernel tainted.", "TSC found unstable after boot, most likely due to broken BIOS.", "sched_clock: Marking unstable (1, 2)",
	}}
	assert.Equal(t, []string{"Loading of unsigned module is rejected"}, a.Verdict())
}
