package ingest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dhowden/tag"
	"golang.org/x/text/encoding/simplifiedchinese"
	wide "golang.org/x/text/encoding/unicode"

	"dalaba/playlist"
)

// Meta is what is known of a clip besides its sound. Empty fields are open.
type Meta struct {
	Title    string   `toml:"title"`
	Series   string   `toml:"series"`
	Issue    int      `toml:"issue"`
	Language string   `toml:"language"` // BCP 47
	Tags     []string `toml:"tags"`
	Text     string   `toml:"text"` // the words spoken
}

// Or fills what m leaves open from other.
func (m Meta) Or(other Meta) Meta {
	if m.Title == "" {
		m.Title = other.Title
	}
	if m.Series == "" {
		m.Series = other.Series
	}
	if m.Issue == 0 {
		m.Issue = other.Issue
	}
	if m.Language == "" {
		m.Language = other.Language
	}
	if len(m.Tags) == 0 {
		m.Tags = other.Tags
	}
	if m.Text == "" {
		m.Text = other.Text
	}
	return m
}

// tidy makes title and series fit for a table.
func (m Meta) tidy() Meta {
	m.Title, m.Series = clean(m.Title), clean(m.Series)
	return m
}

func (m Meta) on(c playlist.Clip) playlist.Clip {
	c.Title, c.Series, c.Issue, c.Language, c.Tags, c.Text = m.Title, m.Series, m.Issue, m.Language, m.Tags, m.Text
	return c
}

func metaOf(c playlist.Clip) Meta {
	return Meta{Title: c.Title, Series: c.Series, Issue: c.Issue, Language: c.Language, Tags: c.Tags, Text: c.Text}
}

// MaxIssue is the highest issue number; the lowest is 1.
const MaxIssue = 99_999

// maxText bounds a text or sidecar file, in bytes.
const maxText = 1 << 20

// sidecar is the metadata that lies beside a sound: x.toml beside x.mp3.
func (g *Ingester) sidecar(path string) (Meta, error) {
	beside := strings.TrimSuffix(path, filepath.Ext(path)) + ".toml"
	text, err := g.readSmall(beside)
	if err != nil {
		if refused := (refusal{}); errors.As(err, &refused) && (refused.Key == "ingest.missing" || refused.Key == "ingest.folder") {
			return Meta{}, nil
		}
		return Meta{}, err
	}
	return readMeta(filepath.Base(beside), text)
}

// Said is what is said of an item outside of its file: by the operator, then
// in its sidecar, then in the list it was in. It is for whoever sends the file
// to another place to be taken there.
func (g *Ingester) Said(item Item) (Meta, error) {
	if isTOML(item.Path) {
		return item.Meta.Or(item.Listed), nil
	}
	beside, err := g.sidecar(item.Path)
	if item.isText() {
		beside.Text = "" // the text is the file's
	}
	return item.Meta.Or(beside).Or(item.Listed), err
}

// readSmall reads a text file that was handed in.
func (g *Ingester) readSmall(path string) ([]byte, error) {
	f, err := g.OpenSource(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(text) > maxText {
		err = refuse("ingest.big", 2, maxText>>20)
	}
	return text, err
}

// fileMeta is all that is said of a sound: what the item brings, then its
// sidecar, the list it was in, its tags, its name.
func (g *Ingester) fileMeta(item Item, src *os.File) (Meta, error) {
	beside, err := g.sidecar(item.Path)
	if err != nil {
		return Meta{}, err
	}
	name := filepath.Base(item.Path)
	m := item.Meta.Or(beside).Or(item.Listed).Or(tags(src)).Or(Meta{Title: strings.TrimSuffix(name, filepath.Ext(name)), Language: "zh-CN"})
	m = m.tidy()
	if m.Title == "" {
		m.Title = "?"
	}
	return m, nil
}

// tags reads ID3, MP4 or Vorbis tags; what cannot be read is not there.
func tags(src *os.File) (m Meta) {
	defer func() {
		if recover() != nil {
			m = Meta{}
		}
	}()
	info, err := src.Stat()
	if err != nil {
		return Meta{}
	}
	t, err := tag.ReadFrom(&thrifty{io.NewSectionReader(src, 0, info.Size()), 32 << 20})
	if err != nil || t == nil {
		return Meta{}
	}
	m.Title, m.Series = legible(t.Title()), legible(t.Album())
	if n, _ := t.Track(); n > 0 && n <= MaxIssue && m.Series != "" {
		m.Issue = n
	}
	return m
}

// thrifty reads no more than so many bytes in all, however often it is moved.
type thrifty struct {
	io.ReadSeeker
	left int64
}

func (t *thrifty) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := t.ReadSeeker.Read(p[:min(int64(len(p)), t.left)])
	t.left -= int64(n)
	return n, err
}

// legible undoes what happens to Chinese tags that are marked as Latin-1, or
// not at all, and are GBK or UTF-8 in truth.
func legible(s string) string {
	if !utf8.ValidString(s) {
		return clean(decodeText([]byte(s), ""))
	}
	raw := make([]byte, 0, len(s))
	high := false
	for _, r := range s {
		if r > 0xff {
			return clean(s)
		}
		high = high || r >= 0x80
		raw = append(raw, byte(r))
	}
	if !high {
		return clean(s)
	}
	return clean(decodeText(raw, s))
}

// unmark takes a byte order mark away and makes UTF-8 of what it marks; marked
// is false where there is none.
func unmark(raw []byte) (text []byte, marked bool) {
	if text, marked = bytes.CutPrefix(raw, []byte("\xef\xbb\xbf")); marked {
		return text, true
	}
	if !bytes.HasPrefix(raw, []byte("\xff\xfe")) && !bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return raw, false
	}
	text, err := wide.UTF16(wide.LittleEndian, wide.ExpectBOM).NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return raw, false
	}
	return text, true
}

// decodeText reads bytes as UTF-8, as UTF-16 where they are marked so, or else
// as GBK; as other where they are none of these.
func decodeText(raw []byte, other string) string {
	raw, _ = unmark(raw)
	if utf8.Valid(raw) {
		return string(raw)
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return other
	}
	return string(text)
}

// clean makes one printable line of a title, of reasonable length.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return s
}
