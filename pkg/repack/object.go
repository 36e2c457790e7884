package repack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// object is a JSON object whose members keep their order and their bytes, so
// that fields which no Go type here knows survive an edit.
type object []member

type member struct {
	key string
	val json.RawMessage
}

// parseObject reads raw, of which the caller reads or sets the given fields. A
// key that comes twice is refused, since readers would disagree on which one
// counts, and so is a field in other letters: encoding/json, and with it most
// runtimes, takes "Layers" for layers, and the last of the two.
func parseObject(raw []byte, fields ...string) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var o object
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string)
		if o.get(key) != nil {
			return nil, fmt.Errorf("key %q comes twice", key)
		}
		for _, f := range fields {
			if key != f && strings.EqualFold(key, f) {
				return nil, fmt.Errorf("key %q stands for %q in other letters", key, f)
			}
		}
		var val json.RawMessage
		if err := d.Decode(&val); err != nil {
			return nil, err
		}
		o = append(o, member{key, val})
	}
	_, err := d.Token()
	return o, err
}

// get is nil where there is no such member.
func (o object) get(key string) json.RawMessage {
	for _, m := range o {
		if m.key == key {
			return m.val
		}
	}
	return nil
}

// set replaces in place or adds at the end.
func (o *object) set(key string, val any) {
	raw, isRaw := val.(json.RawMessage)
	if !isRaw {
		raw = encode(val)
	}
	for i := range *o {
		if (*o)[i].key == key {
			(*o)[i].val = raw
			return
		}
	}
	*o = append(*o, member{key, raw})
}

func (o *object) remove(keys ...string) {
	for _, key := range keys {
		for i, m := range *o {
			if m.key == key {
				*o = append((*o)[:i:i], (*o)[i+1:]...)
				break
			}
		}
	}
}

// raw writes o without white space between its members.
func (o object) raw() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(m.key))
		b.WriteByte(':')
		b.Write(m.val)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// array splits a JSON array into its elements; null and nothing are empty.
func array(raw json.RawMessage) ([]json.RawMessage, error) {
	if raw == nil {
		return nil, nil
	}
	var list []json.RawMessage
	err := json.Unmarshal(raw, &list)
	return list, err
}

// list is the opposite of array.
func list(elements []json.RawMessage) json.RawMessage {
	return append(append([]byte{'['}, bytes.Join(toBytes(elements), []byte{','})...), ']')
}

func toBytes(elements []json.RawMessage) [][]byte {
	b := make([][]byte, len(elements))
	for i, e := range elements {
		b[i] = e
	}
	return b
}

// encode marshals strings, numbers and plain structs, which cannot fail, and
// leaves <, > and & alone.
func encode(val any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(val); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
