package verdict

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestDecodeLikeTheKernel pins where the kernel's decoder is laxer and where it
// is stricter than DER. The expectations come from running the kernel's own
// decoder on the same bytes.
func TestDecodeLikeTheKernel(t *testing.T) {
	t.Parallel()
	pair := []step{{tag: tagSequence, body: []step{{tag: tagInteger}, {tag: tagOctets, skip: true}}}}
	list := []step{{tag: tagSet, many: true, body: []step{{tag: tagInteger}}}}
	choice := []step{{tag: tagSequence, body: []step{
		{tag: tagInteger},
		{tag: tagSet, skip: true, call: true, many: true, body: []step{{tag: tagInteger}}},
		{tag: context(0), skip: true, cond: true, call: true, many: true, body: []step{{tag: tagInteger}}},
		{kind: stepFail},
	}}}
	for name, c := range map[string]struct {
		grammar []step
		data    string
		want    Errno
	}{
		"as DER":                           {pair, "\x30\x06\x02\x01\x05\x04\x01x", noError},
		"optional left out":                {pair, "\x30\x03\x02\x01\x05", noError},
		"bytes behind are ignored":         {pair, "\x30\x03\x02\x01\x05junk", noError},
		"sequence without constructed bit": {pair, "\x10\x03\x02\x01\x05", noError},
		"length longer than needed":        {pair, "\x30\x82\x00\x03\x02\x01\x05", noError},
		"inner length longer than needed":  {pair, "\x30\x04\x02\x81\x01\x05", noError},
		"indefinite length":                {pair, "\x30\x80\x02\x01\x05\x00\x00", noError},
		"empty integer":                    {pair, "\x30\x02\x02\x00", noError},
		"choice left out at the end":       {choice, "\x30\x03\x02\x01\x05", noError},
		"integer with constructed bit":     {pair, "\x30\x03\x22\x01\x05", eBADMSG},
		"length of three bytes":            {pair, "\x30\x83\x00\x00\x03\x02\x01\x05", eBADMSG},
		"long tag":                         {pair, "\x3f\x03\x02\x01\x05", eBADMSG},
		"long tag where one is optional":   {pair, "\x30\x06\x02\x01\x05\x1f\x01x", eBADMSG},
		"indefinite without constructed":   {pair, "\x10\x80\x02\x01\x05\x00\x00", eBADMSG},
		"end of contents missing":          {pair, "\x30\x80\x02\x01\x05", eBADMSG},
		"end of contents is not 00 00":     {pair, "\x30\x80\x02\x01\x05\x00\x01", eBADMSG},
		"length beyond the end":            {pair, "\x30\x07\x02\x01\x05", eBADMSG},
		"inner length beyond the outer":    {pair, "\x30\x03\x02\x02\x05\x00", eBADMSG},
		"something unexpected inside":      {pair, "\x30\x05\x02\x01\x05\x05\x00", eBADMSG},
		"nothing":                          {pair, "", eBADMSG},
		"one byte":                         {pair, "\x30", eBADMSG},
		"empty set":                        {list, "\x31\x00", eBADMSG},
		"set of two":                       {list, "\x31\x06\x02\x01\x05\x02\x01\x06", noError},
		"choice that fits nothing":         {choice, "\x30\x05\x02\x01\x05\x04\x00", eBADMSG},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, decode([]byte(c.data), c.grammar))
		})
	}
	assert.Equal(t, eMSGSIZE, decode(bytes.Repeat([]byte{0x30}, berLimit+1), pair))
	assert.Equal(t, eBADMSG, decode(bytes.Repeat([]byte{0x30}, berLimit), pair))
}

func TestPrintOID(t *testing.T) {
	t.Parallel()
	for want, der := range map[string]string{
		"1.2.840.113549.1.1.10": "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a",
		"2.5.4.3":               "\x55\x04\x03",
		"6.15":                  "\xff",
		"1.2(bad)":              "\x2a\x86",
		"(bad)":                 "",
	} {
		assert.Equal(t, want, printOID([]byte(der)), "%x", der)
	}
	assert.Len(t, printOID(bytes.Repeat([]byte{0x7f}, 60)), oidBuffer-1)
}

func TestRegistryByVersion(t *testing.T) {
	t.Parallel()
	const sha3, md5, mldsa oid = "2.16.840.1.101.3.4.2.8", "1.2.840.113549.2.5", oidMLDSA65
	for name, c := range map[string]struct {
		release         string
		total           int
		md5, sha3, mlds bool
	}{
		"6.1":  {"6.1.0-56-amd64", 98, true, false, false},
		"6.12": {"6.12.117+deb12-amd64", 103, false, true, false},
		"7.3":  {"7.3.4+deb13-amd64", 106, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(parseVersion(c.release))
			assert.Len(t, r.order, c.total)
			assert.Equal(t, c.md5, r.find(oidDER(string(md5))) != "")
			assert.Equal(t, c.sha3, r.find(oidDER(string(sha3))) != "")
			assert.Equal(t, c.mlds, r.find(oidDER(string(mldsa))) != "")
			assert.Equal(t, c.total, r.number(""))
		})
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tag  byte
		text string
		want Errno
	}{
		"utc":                     {tagUTC, "260101000000Z", noError},
		"generalized":             {tagGenTime, "20500101000000Z", noError},
		"leap second":             {tagUTC, "261231235960Z", noError},
		"midnight as 24":          {tagUTC, "261231240000Z", noError},
		"leap day":                {tagUTC, "240229000000Z", noError},
		"no leap day":             {tagUTC, "260229000000Z", eBADMSG},
		"before 1970":             {tagUTC, "690101000000Z", eBADMSG},
		"month 13":                {tagUTC, "261301000000Z", eBADMSG},
		"letters":                 {tagUTC, "26ab01000000Z", eBADMSG},
		"no Z":                    {tagUTC, "2601010000000", eBADMSG},
		"without seconds":         {tagUTC, "2601010000Z", eBADMSG},
		"generalized before 2050": {tagGenTime, "20260101000000Z", eBADMSG},
		"another tag":             {tagOctets, "260101000000Z", eBADMSG},
	} {
		_, e := parseTime(element{tag: c.tag, val: []byte(c.text)})
		assert.Equal(t, c.want, e, name)
	}
}
