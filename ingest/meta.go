package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

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
	beside, err := g.in(item).sidecar(item.Path)
	if item.isText() {
		beside.Text = "" // the text is the content of the file
	}
	return item.Meta.Or(beside).Or(item.Listed), err
}

// readSmall reads a text file that is imported.
func (g *Ingester) readSmall(path string) ([]byte, error) {
	f, err := g.openSource(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readText(f)
}

// readText reads an open text file, from its beginning.
func readText(f *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxText+1))
	if err == nil && len(text) > maxText {
		err = refuse("ingest.big", 2, maxText>>20)
	}
	return text, err
}

// fileMeta returns the metadata of a sound, by its tags: the operator's, then that of
// its sidecar, its list, its tags, its folder and its name.
func (g *Ingester) fileMeta(item Item) (func(tags Meta) Meta, error) {
	beside, err := g.sidecar(item.Path)
	if err != nil {
		return nil, err
	}
	return func(tags Meta) Meta {
		return item.called(item.Meta.Or(beside), item.Listed.Or(tags)).Or(Meta{Language: "zh-CN"})
	}, nil
}

// fileTags are the tags of a file, or of one stream in it, as ffprobe names them.
type fileTags struct {
	Title string `json:"title"`
	Album string `json:"album"`
	Track string `json:"track"`
}

// tagsMeta returns what tags say. The first of them that says a thing counts.
func tagsMeta(all ...fileTags) (m Meta) {
	for _, t := range all {
		one := Meta{Title: legible(t.Title), Series: legible(t.Album)}
		number, _, _ := strings.Cut(t.Track, "/") // 7/12: the seventh of twelve
		if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil && n > 0 && n <= MaxIssue && one.Series != "" {
			one.Issue = n
		}
		m = m.Or(one)
	}
	return m
}

// escaped returns JSON with all bytes above ASCII written as characters of Latin-1, if
// it is not valid UTF-8: some tags are GBK, and [legible] can read them then.
func escaped(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	out := make([]byte, 0, 2*len(text))
	for _, c := range text {
		if c < utf8.RuneSelf {
			out = append(out, c)
		} else {
			out = fmt.Appendf(out, "\\u%04x", c)
		}
	}
	return out
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
