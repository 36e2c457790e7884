package manifest

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type schemaNode struct {
	Type       string                `json:"type"`
	Ref        string                `json:"$ref"`
	Closed     any                   `json:"additionalProperties"`
	Required   []string              `json:"required"`
	Properties map[string]schemaNode `json:"properties"`
	Items      *schemaNode           `json:"items"`
}

// TestSchema holds docs/kmods.schema.json against the Go types.
func TestSchema(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/kmods.schema.json")
	require.NoError(t, err)
	var doc struct {
		Defs map[string]schemaNode `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(b, &doc))
	for _, v := range []any{Manifest{}, Source{}, Platform{}, Copy{}, Module{}, Header{}, Blob{}, Signature{}, Signed{}} {
		typ := reflect.TypeOf(v)
		d, ok := doc.Defs[typ.Name()]
		require.True(t, ok, typ.Name())
		assert.Equal(t, false, d.Closed, typ.Name())
		assert.Len(t, d.Properties, typ.NumField(), typ.Name())
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, opt, _ := strings.Cut(f.Tag.Get("json"), ",")
			p, ok := d.Properties[name]
			if assert.True(t, ok, "%s.%s", typ.Name(), name) {
				assert.Equal(t, shape(f.Type), p.shape(doc.Defs), "%s.%s", typ.Name(), name)
				assert.Equal(t, opt != "omitempty", slices.Contains(d.Required, name), "%s.%s required", typ.Name(), name)
			}
		}
	}
}

func shape(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return shape(t.Elem())
	case reflect.Slice:
		return "array of " + shape(t.Elem())
	case reflect.Struct:
		return t.Name()
	case reflect.Map:
		return "object"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Bool:
		return "boolean"
	default:
		return t.Kind().String()
	}
}

func (n schemaNode) shape(defs map[string]schemaNode) string {
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
		if d := defs[name]; d.Type != "object" {
			return d.Type
		}
		return name
	}
	if n.Type == "array" {
		return "array of " + n.Items.shape(defs)
	}
	return n.Type
}
