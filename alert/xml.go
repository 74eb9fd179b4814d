package alert

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"dalaba/playlist/say"
)

// Bounds of one XML document. The largest alerts seen carry polygons of 20,000
// points (0.9 MB); an inline sound of two minutes is 1.3 MB of base64.
const (
	MaxXML      = 8 << 20 // bytes, as received and once more as UTF-8
	maxDepth    = 24
	maxElements = 100_000
	maxAttrs    = 24      // of one element
	maxName     = 200     // bytes of a name
	maxText     = 6 << 20 // bytes of one element's text
	maxValue    = 4096    // bytes of an attribute
)

// node is one element, its name resolved.
type node struct {
	space, name string
	attrs       []xml.Attr
	text        string // all that stands between its tags, but not within its elements
	kids        []*node
	from, to    int // where it stands in the document's UTF-8 form
}

// document is a whole document, read within bounds.
type document struct {
	root *node
	utf8 []byte // without byte order mark and XML declaration
}

// readXML reads a document, or refuses it.
func readXML(raw []byte, r *report) (document, error) {
	if len(raw) > MaxXML {
		return document{}, refuse(ErrTooLarge, say.M("alert.xml_big", mib(int64(len(raw))), mib(MaxXML)))
	}
	text, err := toUTF8(raw, r)
	if err != nil {
		return document{}, err
	}
	root, err := readTree(text)
	return document{root, text}, err
}

// nul finds references to the character U+0000, which is not XML. Signature
// files of some EBD senders hold them.
var nul = regexp.MustCompile(`&#(x0+|0+);`)

func readTree(text []byte) (*node, error) {
	if nul.Match(text) {
		return nil, refuse(ErrInvalid, say.M("alert.xml_nul"))
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	var root *node
	var open []*node
	var words []*strings.Builder // the text of each open element
	elements := 0
	for {
		at := int(d.InputOffset())
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, badXML(err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, refuse(ErrForbidden, say.M("alert.xml_doctype"))
		case xml.StartElement:
			if root != nil && len(open) == 0 {
				return nil, refuse(ErrInvalid, say.M("alert.xml_roots", shown(t.Name.Local)))
			}
			if elements++; elements > maxElements {
				return nil, refuse(ErrTooLarge, say.M("alert.xml_many", maxElements))
			}
			if len(open) == maxDepth {
				return nil, refuse(ErrTooLarge, say.M("alert.xml_deep", maxDepth))
			}
			if err := checkTag(t); err != nil {
				return nil, err
			}
			n := &node{space: t.Name.Space, name: t.Name.Local, attrs: t.Copy().Attr, from: at}
			if root == nil {
				root = n
			} else {
				parent := open[len(open)-1]
				parent.kids = append(parent.kids, n)
			}
			open, words = append(open, n), append(words, &strings.Builder{})
		case xml.EndElement:
			n := open[len(open)-1]
			n.text, n.to = words[len(words)-1].String(), int(d.InputOffset())
			open, words = open[:len(open)-1], words[:len(words)-1]
		case xml.CharData:
			if len(open) == 0 {
				if len(bytes.TrimSpace(t)) > 0 {
					return nil, refuse(ErrInvalid, say.M("alert.xml_outside", shown(string(t))))
				}
				continue
			}
			w := words[len(words)-1]
			if w.Len()+len(t) > maxText {
				return nil, refuse(ErrTooLarge, say.M("alert.xml_text", open[len(open)-1].name, mib(maxText)))
			}
			w.Write(t)
		}
	}
	switch {
	case root == nil:
		return nil, refuse(ErrTruncated, say.M("alert.xml_empty"))
	case len(open) > 0:
		return nil, refuse(ErrTruncated, say.M("alert.xml_cut", open[len(open)-1].name))
	}
	return root, nil
}

func checkTag(t xml.StartElement) error {
	if len(t.Attr) > maxAttrs {
		return refuse(ErrTooLarge, say.M("alert.xml_attrs", shown(t.Name.Local), maxAttrs))
	}
	if len(t.Name.Local)+len(t.Name.Space) > maxName {
		return refuse(ErrTooLarge, say.M("alert.xml_name", shown(t.Name.Local)))
	}
	seen := map[xml.Name]bool{}
	for _, a := range t.Attr {
		switch {
		case len(a.Name.Local)+len(a.Name.Space) > maxName:
			return refuse(ErrTooLarge, say.M("alert.xml_name", shown(a.Name.Local)))
		case len(a.Value) > maxValue:
			return refuse(ErrTooLarge, say.M("alert.xml_value", shown(a.Name.Local), maxValue))
		case seen[a.Name]:
			return refuse(ErrInvalid, say.M("alert.xml_twice", shown(a.Name.Local)))
		}
		seen[a.Name] = true
	}
	return nil
}

// badXML puts the reader's complaint into words.
func badXML(err error) error {
	var bad *xml.SyntaxError
	if !errors.As(err, &bad) {
		return refuse(ErrInvalid, say.M("alert.xml_syntax", 0, shown(err.Error())))
	}
	switch {
	case strings.Contains(bad.Msg, "unexpected EOF"):
		return refuse(ErrTruncated, say.M("alert.xml_eof", bad.Line))
	case strings.Contains(bad.Msg, "character entity"):
		return refuse(ErrForbidden, say.M("alert.xml_entity", bad.Line, shown(bad.Msg)))
	}
	return refuse(ErrInvalid, say.M("alert.xml_syntax", bad.Line, shown(bad.Msg)))
}

var declaration = regexp.MustCompile(`^<\?xml\s([^?]*)\?>`)
var declared = regexp.MustCompile(`(?:^|\s)(version|encoding)\s*=\s*["']([^"']*)["']`)

// toUTF8 is the document in UTF-8, without byte order mark and declaration.
func toUTF8(raw []byte, r *report) ([]byte, error) {
	marked := false
	switch {
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		raw, marked = raw[3:], true
	case bytes.HasPrefix(raw, []byte("\xff\xfe")), bytes.HasPrefix(raw, []byte("\xfe\xff")):
		text, err := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Bytes(raw)
		if err != nil {
			return nil, refuse(ErrInvalid, say.M("alert.xml_encoding", "UTF-16"))
		}
		raw, marked = text, true
	}
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) < len(raw) {
		r.warn("alert.xml_leading")
		raw = trimmed
	}
	name := ""
	if m := declaration.FindSubmatch(raw); m != nil {
		for _, d := range declared.FindAllSubmatch(m[1], -1) {
			switch {
			case string(d[1]) == "encoding":
				name = string(d[2])
			case string(d[2]) != "1.0" && string(d[2]) != "1.1":
				return nil, refuse(ErrInvalid, say.M("alert.xml_version", shown(string(d[2]))))
			}
		}
		raw = raw[len(m[0]):]
	}
	if !marked {
		var err error
		if raw, err = decode(raw, name); err != nil {
			return nil, err
		}
	}
	if !utf8.Valid(raw) {
		return nil, refuse(ErrInvalid, say.M("alert.xml_utf8"))
	}
	if len(raw) > MaxXML {
		return nil, refuse(ErrTooLarge, say.M("alert.xml_big", mib(int64(len(raw))), mib(MaxXML)))
	}
	return raw, nil
}

func decode(raw []byte, name string) ([]byte, error) {
	var from encoding.Encoding
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return raw, nil
	case "iso-8859-1", "latin1": // not the windows-1252 that browsers read for it
		from = charmap.ISO8859_1
	default:
		var err error
		if from, err = htmlindex.Get(name); err != nil {
			return nil, refuse(ErrInvalid, say.M("alert.xml_encoding", shown(name)))
		}
	}
	text, err := from.NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, refuse(ErrInvalid, say.M("alert.xml_encoding", shown(name)))
	}
	return text, nil
}

// kid is the first child of a local name.
func (n *node) kid(name string) *node {
	if n == nil {
		return nil
	}
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

// all are the children of a local name.
func (n *node) all(name string) []*node {
	var found []*node
	if n != nil {
		for _, k := range n.kids {
			if k.name == name {
				found = append(found, k)
			}
		}
	}
	return found
}

// at is the trimmed text at the end of a path of local names, else empty.
func (n *node) at(path ...string) string {
	for _, p := range path {
		if n = n.kid(p); n == nil {
			return ""
		}
	}
	return n.trimmed()
}

// trimmed is the element's text without the blanks around it.
func (n *node) trimmed() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// attr is the value of an attribute without a namespace.
func (n *node) attr(name string) string {
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// qualified is a name for messages: the prefix stands for the namespace.
func (n *node) qualified() string {
	if n.space == "" {
		return n.name
	}
	return fmt.Sprintf("{%s}%s", n.space, n.name)
}
