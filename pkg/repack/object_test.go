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
