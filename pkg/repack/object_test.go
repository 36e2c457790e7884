package repack

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestObjectKeepsOrderAndBytes(t *testing.T) {
	t.Parallel()
	o, err := parseObject([]byte(` { "z" : 1.0e3, "a":{"x" : [ 1 ]}, "n":null, "s":"\u003c" } `))
	require.NoError(t, err)
	same := func(want string) { assert.Equal(t, want, string(o.raw())) } // bytes, not meaning
	same(`{"z":1.0e3,"a":{"x" : [ 1 ]},"n":null,"s":"\u003c"}`)
	o.set("a", "<b>")
	o.set("new", 7)
	o.remove("z", "absent")
	same(`{"a":"<b>","n":null,"s":"\u003c","new":7}`)
}

func TestObjectRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{``, `[]`, `"a"`, `null`, `{`, `{"a":}`, `{"a":1,"a":2}`, `{"a":1`, `{1:2}`} {
		_, err := parseObject([]byte(raw))
		assert.Error(t, err, raw)
	}
}

// TestOtherLettersAreRefused: what is edited here and what a runtime reads
// would be two things.
func TestOtherLettersAreRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`{"layers":[],"Layers":[]}`, `{"LAYERS":[]}`, "{\"layer\u017f\":[]}"} {
		_, err := parseObject([]byte(raw), "config", "layers")
		require.ErrorContains(t, err, "in other letters", raw)
		_, err = parseObject([]byte(raw))
		require.NoError(t, err, "keys of a map are no fields")
	}
	const hash = `"sha256:0000000000000000000000000000000000000000000000000000000000000000"`
	for name, edit := range map[string]func() error{
		"layers": func() error {
			_, err := editManifest([]byte(`{"config":{},"layers":[],"Layers":[]}`), nil, nil, nil, nil)
			return err
		},
		"digest": func() error {
			_, err := repoint([]byte(`{"digest":`+hash+`,"Digest":`+hash+`}`), "sha256:1", 1)
			return err
		},
		"diff ids": func() error {
			_, err := editConfig([]byte(`{"rootfs":{"diff_ids":[],"Diff_IDs":[]}}`), 0, nil, nil)
			return err
		},
		"rootfs": func() error {
			_, err := editConfig([]byte(`{"rootfs":{"diff_ids":[]},"rootFS":{}}`), 0, nil, nil)
			return err
		},
	} {
		require.ErrorContains(t, edit(), "in other letters", name)
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"\ud800"}],"":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := parseObject(raw)
		if err != nil {
			return
		}
		assert.True(t, json.Valid(o.raw()))
		again, err := parseObject(o.raw())
		require.NoError(t, err)
		assert.Equal(t, string(o.raw()), string(again.raw()))
	})
}
