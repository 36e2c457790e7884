package mutate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// node is one DER element; a primitive one has value and no children.
type node struct {
	tag      byte
	value    []byte
	children []*node
}

// tree parses DER of definite lengths; what does not parse stays primitive.
func tree(b []byte) ([]*node, bool) {
	var nodes []*node
	for len(b) > 0 {
		head, n, ok := header(b)
		if !ok {
			return nil, false
		}
		e := &node{tag: b[0], value: b[head : head+n]}
		if b[0]&0x20 != 0 {
			if kids, ok := tree(e.value); ok {
				e.children = kids
			}
		}
		nodes = append(nodes, e)
		b = b[head+n:]
	}
	return nodes, true
}

func header(b []byte) (head, n int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	head, n = 2, int(b[1])
	if n >= 0x80 {
		k := n & 0x7f
		if k == 0 || k > 3 || len(b) < 2+k {
			return 0, 0, false
		}
		head, n = 2+k, 0
		for _, c := range b[2 : 2+k] {
			n = n<<8 | int(c)
		}
	}
	return head, n, head+n <= len(b)
}

func (e *node) bytes() []byte {
	value := e.value
	if e.children != nil {
		value = nil
		for _, c := range e.children {
			value = append(value, c.bytes()...)
		}
	}
	return append(prefix(e.tag, len(value)), value...)
}

func prefix(tag byte, n int) []byte {
	switch {
	case n < 0x80:
		return []byte{tag, byte(n)}
	case n < 0x100:
		return []byte{tag, 0x81, byte(n)}
	default:
		return []byte{tag, 0x82, byte(n >> 8), byte(n)}
	}
}

// edit changes the message as a tree: every length stays right, so that the
// damage reaches further into the kernel's parser than a flipped bit does.
func edit(r *rand.Rand, p parts) Mutant {
	roots, ok := tree(p.sig)
	if !ok || len(roots) == 0 {
		return flip(r, p)
	}
	all := []*node{}
	var walk func([]*node)
	walk = func(nodes []*node) {
		for _, n := range nodes {
			all = append(all, n)
			walk(n.children)
		}
	}
	walk(roots)
	at := r.IntN(len(all))
	what := fmt.Sprintf("node %d %s", at, change(r, all[at], all))
	var out bytes.Buffer
	for _, n := range roots {
		out.Write(n.bytes())
	}
	p.sig = out.Bytes()
	return Mutant{p.join(true), what}
}

func change(r *rand.Rand, n *node, all []*node) string {
	switch r.IntN(7) {
	case 0:
		n.tag ^= 1 << r.IntN(8)
		return fmt.Sprintf("tag %#x", n.tag)
	case 1:
		return resize(r, n)
	case 2:
		return shuffle(r, n)
	case 3:
		other := r.IntN(len(all))
		c := *all[other]
		c = node{tag: c.tag, value: bytes.Clone(c.flat())}
		*n = c
		return fmt.Sprintf("becomes node %d", other)
	case 4:
		n.tag, n.value, n.children = 0x05, nil, nil
		return "becomes NULL"
	case 5:
		return value(r, n)
	default:
		n.tag = []byte{0x02, 0x03, 0x04, 0x06, 0x0c, 0x13, 0x30, 0x31, 0x80, 0xa0, 0xa1}[r.IntN(11)]
		return fmt.Sprintf("tag %#x", n.tag)
	}
}

// flat is the element's content as bytes.
func (e *node) flat() []byte {
	b := e.bytes()
	head, size, _ := header(b)
	return b[head : head+size]
}

// resize empties, shortens or lengthens an element.
func resize(r *rand.Rand, n *node) string {
	v := bytes.Clone(n.flat())
	n.children = nil
	switch k := r.IntN(4); {
	case k == 0 || len(v) == 0:
		n.value = nil
		return "emptied"
	case k == 1:
		n.value = v[:len(v)-1]
		return "last byte off"
	case k == 2:
		n.value = append([]byte{0}, v...)
		return "zero in front"
	default:
		n.value = append(v, byte(r.Uint32()))
		return "byte behind"
	}
}

// shuffle drops, doubles or swaps members.
func shuffle(r *rand.Rand, n *node) string {
	if len(n.children) == 0 {
		return value(r, n)
	}
	i := r.IntN(len(n.children))
	switch r.IntN(3) {
	case 0:
		n.children = append(append([]*node{}, n.children[:i]...), n.children[i+1:]...)
		return fmt.Sprintf("without member %d", i)
	case 1:
		n.children = append(append(append([]*node{}, n.children[:i]...), n.children[i]), n.children[i:]...)
		return fmt.Sprintf("member %d twice", i)
	default:
		j := r.IntN(len(n.children))
		n.children[i], n.children[j] = n.children[j], n.children[i]
		return fmt.Sprintf("members %d and %d swapped", i, j)
	}
}

// value flips a bit of an element's content.
func value(r *rand.Rand, n *node) string {
	v := bytes.Clone(n.flat())
	if len(v) == 0 {
		return "unchanged"
	}
	at, bit := r.IntN(len(v)), r.IntN(8)
	v[at] ^= 1 << bit
	n.value, n.children = v, nil
	return fmt.Sprintf("value[%d]^%#x", at, 1<<bit)
}
