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
	"golang.org/x/text/unicode/norm"

	"dalaba/playlist"
)

// Meta is the metadata of a clip. Empty fields are not given.
type Meta struct {
	Title    string   `toml:"title"`
	Series   string   `toml:"series"`
	Issue    int      `toml:"issue"`
	Language string   `toml:"language"` // BCP 47
	Tags     []string `toml:"tags"`
	Text     string   `toml:"text"` // the words spoken

	// AsIs says that the source is taken however much of it is missing. It is
	// not kept with the clip.
	AsIs bool `toml:"as_is"`
}

// Or returns m with its empty fields taken from other.
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
	m.AsIs = m.AsIs || other.AsIs
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

// sidecar reads the metadata file beside a sound: x.toml beside x.mp3.
func (g *Ingester) sidecar(path string) (Meta, error) {
	beside := alike(strings.TrimSuffix(path, filepath.Ext(path)) + ".toml")
	text, err := g.readSmall(beside)
	if err != nil {
		if refused := (refusal{}); errors.As(err, &refused) && (refused.Key == "ingest.missing" || refused.Key == "ingest.folder") {
			return Meta{}, nil
		}
		return Meta{}, err
	}
	return readMeta(filepath.Base(beside), text)
}

// Said returns the metadata of an item that is not in its file: the operator's,
// then its sidecar's, then that of its list. A caller needs it to send the file
// to another machine that imports it there.
func (g *Ingester) Said(item Item) (Meta, error) {
	if isTOML(item.Path) {
		return item.Meta.Or(item.Listed), nil
	}
	beside, err := g.sidecar(item.Path)
	if item.isText() {
		beside.Text = "" // the text is the content of the file
	}
	return item.Meta.Or(beside).Or(item.Listed), err
}

// readSmall reads a text file that is imported.
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

// fileMeta returns the metadata of a sound: the operator's, then that of its
// sidecar, its list, its tags, its folder and its name.
func (g *Ingester) fileMeta(item Item, src *os.File) (Meta, error) {
	beside, err := g.sidecar(item.Path)
	if err != nil {
		return Meta{}, err
	}
	return item.called(item.Meta.Or(beside), item.Listed.Or(tags(src))).Or(Meta{Language: "zh-CN"}), nil
}

// tags reads ID3, MP4 or Vorbis tags; it ignores what cannot be read.
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
	t, err := tag.ReadFrom(&limitedReader{io.NewSectionReader(src, 0, info.Size()), 32 << 20})
	if err != nil || t == nil {
		return Meta{}
	}
	m.Title, m.Series = legible(t.Title()), legible(t.Album())
	if n, _ := t.Track(); n > 0 && n <= MaxIssue && m.Series != "" {
		m.Issue = n
	}
	return m
}

// limitedReader reads at most so many bytes in all, however often it seeks.
type limitedReader struct {
	io.ReadSeeker
	left int64
}

func (t *limitedReader) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := t.ReadSeeker.Read(p[:min(int64(len(p)), t.left)])
	t.left -= int64(n)
	return n, err
}

// legible repairs Chinese tags that are marked as Latin-1, or not marked, and
// are really GBK or UTF-8.
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

// unmark removes a byte order mark and converts the text that it marks to
// UTF-8; marked is false if there is none.
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

// decodeText decodes bytes as UTF-8, as UTF-16 if they have its byte order
// mark, or else as GBK; as other if they are none of these.
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

// clean makes a title a single printable line of reasonable length.
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
	s = norm.NFC.String(strings.Join(strings.Fields(s), " "))
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return s
}

// Redescribe returns a clip with other metadata; change gets what it has now. The error
// is an ErrRefused.
func Redescribe(c playlist.Clip, change func(*Meta)) (playlist.Clip, error) {
	m := metaOf(c)
	change(&m)
	m = m.tidy()
	switch {
	case m.Title == "":
		return c, refuse("clips.no_title")
	case m.Issue < 0 || m.Issue > MaxIssue:
		return c, refuse("ingest.issue", m.Issue, MaxIssue)
	}
	return m.on(c), nil
}
