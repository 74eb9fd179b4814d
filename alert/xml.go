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

// Limits of one XML document. The largest alerts seen have polygons of 20,000
// points (0.9 MB); two minutes of inline sound are 1.3 MB of base64.
const (
	MaxXML      = 8 << 20 // bytes, both as received and as UTF-8
	maxDepth    = 24
	maxElements = 100_000
	maxAttrs    = 24      // of one element
	maxSpaces   = 32      // declarations of namespaces by an element and those around it: canonical forms copy them for each element
	maxName     = 200     // bytes of a name
	maxText     = 6 << 20 // bytes of one element's text
	maxValue    = 4096    // bytes of an attribute
)

// node is one element, with its namespace resolved.
type node struct {
	space, name string
	attrs       []xml.Attr
	text        string // the text between its tags, without that of its child elements
	kids        []*node
	from, to    int // its offsets in the document's UTF-8 form
}

// document is a whole document that was read within the limits.
type document struct {
	root *node
	utf8 []byte // without byte order mark and XML declaration
}

// readXML reads a document.
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

// nul finds references to the character U+0000, which XML does not allow. The
// signature files of some EBD senders have them.
var nul = regexp.MustCompile(`&#(x0+|0+);`)

// readTree reads a document into a tree of elements.
func readTree(text []byte) (*node, error) {
	if nul.Match(text) {
		return nil, refuse(ErrInvalid, say.M("alert.xml_nul"))
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	var b treeBuilder
	for {
		at := int(d.InputOffset())
		token, err := d.Token()
		if err == io.EOF {
			return b.finish()
		}
		if err != nil {
			return nil, badXML(err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, refuse(ErrForbidden, say.M("alert.xml_doctype"))
		case xml.StartElement:
			err = b.start(t, at)
		case xml.EndElement:
			b.end(int(d.InputOffset()))
		case xml.CharData:
			err = b.text(t)
		}
		if err != nil {
			return nil, err
		}
	}
}

// treeBuilder builds the tree of a document within the limits.
type treeBuilder struct {
	root     *node
	open     []*node
	words    []*strings.Builder // the text of each open element
	spaces   []int              // how many namespaces are declared by each open element and those around it
	elements int
}

// start opens an element that begins at the offset.
func (b *treeBuilder) start(t xml.StartElement, at int) error {
	if b.root != nil && len(b.open) == 0 {
		return refuse(ErrInvalid, say.M("alert.xml_roots", printable(t.Name.Local)))
	}
	if b.elements++; b.elements > maxElements {
		return refuse(ErrTooLarge, say.M("alert.xml_many", maxElements))
	}
	if len(b.open) == maxDepth {
		return refuse(ErrTooLarge, say.M("alert.xml_deep", maxDepth))
	}
	if err := checkTag(t); err != nil {
		return err
	}
	spaces := declares(t)
	if len(b.open) > 0 {
		spaces += b.spaces[len(b.spaces)-1]
	}
	if spaces > maxSpaces {
		return refuse(ErrTooLarge, say.M("alert.xml_spaces", printable(t.Name.Local), maxSpaces))
	}
	n := &node{space: t.Name.Space, name: t.Name.Local, attrs: t.Copy().Attr, from: at}
	if b.root == nil {
		b.root = n
	} else {
		parent := b.open[len(b.open)-1]
		parent.kids = append(parent.kids, n)
	}
	b.open, b.words, b.spaces = append(b.open, n), append(b.words, &strings.Builder{}), append(b.spaces, spaces)
	return nil
}

// end closes the innermost element, which ends at the offset.
func (b *treeBuilder) end(at int) {
	last := len(b.open) - 1
	b.open[last].text, b.open[last].to = b.words[last].String(), at
	b.open, b.words, b.spaces = b.open[:last], b.words[:last], b.spaces[:last]
}

// text adds text to the innermost element.
func (b *treeBuilder) text(t xml.CharData) error {
	if len(b.open) == 0 {
		if len(bytes.TrimSpace(t)) > 0 {
			return refuse(ErrInvalid, say.M("alert.xml_outside", printable(string(t))))
		}
		return nil
	}
	w := b.words[len(b.words)-1]
	if w.Len()+len(t) > maxText {
		return refuse(ErrTooLarge, say.M("alert.xml_text", b.open[len(b.open)-1].name, mib(maxText)))
	}
	w.Write(t)
	return nil
}

// finish returns the root element, if the document is complete.
func (b *treeBuilder) finish() (*node, error) {
	switch {
	case b.root == nil:
		return nil, refuse(ErrTruncated, say.M("alert.xml_empty"))
	case len(b.open) > 0:
		return nil, refuse(ErrTruncated, say.M("alert.xml_cut", b.open[len(b.open)-1].name))
	}
	return b.root, nil
}

// declares returns how many namespaces a start tag declares.
func declares(t xml.StartElement) (n int) {
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			n++
		}
	}
	return n
}

// checkTag checks a start tag: its size, and that no attribute comes twice.
func checkTag(t xml.StartElement) error {
	if len(t.Attr) > maxAttrs {
		return refuse(ErrTooLarge, say.M("alert.xml_attrs", printable(t.Name.Local), maxAttrs))
	}
	if len(t.Name.Local)+len(t.Name.Space) > maxName {
		return refuse(ErrTooLarge, say.M("alert.xml_name", printable(t.Name.Local)))
	}
	seen := map[xml.Name]bool{}
	for _, a := range t.Attr {
		switch {
		case len(a.Name.Local)+len(a.Name.Space) > maxName:
			return refuse(ErrTooLarge, say.M("alert.xml_name", printable(a.Name.Local)))
		case len(a.Value) > maxValue:
			return refuse(ErrTooLarge, say.M("alert.xml_value", printable(a.Name.Local), maxValue))
		case seen[a.Name]:
			return refuse(ErrInvalid, say.M("alert.xml_twice", printable(a.Name.Local)))
		}
		seen[a.Name] = true
	}
	return nil
}

// badXML returns the refusal for an error of the XML decoder.
func badXML(err error) error {
	var bad *xml.SyntaxError
	if !errors.As(err, &bad) {
		return refuse(ErrInvalid, say.M("alert.xml_syntax", 0, printable(err.Error())))
	}
	switch {
	case strings.Contains(bad.Msg, "unexpected EOF"):
		return refuse(ErrTruncated, say.M("alert.xml_eof", bad.Line))
	case strings.Contains(bad.Msg, "character entity"):
		return refuse(ErrForbidden, say.M("alert.xml_entity", bad.Line, printable(bad.Msg)))
	}
	return refuse(ErrInvalid, say.M("alert.xml_syntax", bad.Line, printable(bad.Msg)))
}

var declaration = regexp.MustCompile(`^<\?xml\s([^?]*)\?>`)
var declared = regexp.MustCompile(`(?:^|\s)(version|encoding)\s*=\s*["']([^"']*)["']`)

// toUTF8 converts a document to UTF-8 and removes the byte order mark and the XML
// declaration.
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
				return nil, refuse(ErrInvalid, say.M("alert.xml_version", printable(string(d[2]))))
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

// decode converts text from the named encoding to UTF-8.
func decode(raw []byte, name string) ([]byte, error) {
	var from encoding.Encoding
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return raw, nil
	case "iso-8859-1", "latin1": // browsers read it as windows-1252, htmlindex too
		from = charmap.ISO8859_1
	default:
		var err error
		if from, err = htmlindex.Get(name); err != nil {
			return nil, refuse(ErrInvalid, say.M("alert.xml_encoding", printable(name)))
		}
	}
	text, err := from.NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, refuse(ErrInvalid, say.M("alert.xml_encoding", printable(name)))
	}
	return text, nil
}

// kid returns the first child with a local name, or nil.
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

// all returns the children with a local name.
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

// at returns the trimmed text of the element at a path of local names, or "" if there
// is none.
func (n *node) at(path ...string) string {
	for _, p := range path {
		if n = n.kid(p); n == nil {
			return ""
		}
	}
	return n.trimmed()
}

// trimmed returns the element's text without the blanks around it.
func (n *node) trimmed() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// attr returns the value of an attribute that has no namespace, or "".
func (n *node) attr(name string) string {
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// qualified returns the element's name for messages, with its namespace.
func (n *node) qualified() string {
	if n.space == "" {
		return n.name
	}
	return fmt.Sprintf("{%s}%s", n.space, n.name)
}
