package ingest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// Item is one thing to import: a sound, or a text to be spoken.
type Item struct {
	Path   string // of a file
	Meta   Meta   // given by the operator; comes before all else
	Listed Meta   // given by the list that the item is in

	// Since is when the handing-in began that the item is part of: it replaces no clip
	// that came in since. Zero: the item was handed in alone.
	Since time.Time

	// Arriving says that more of the file may still come: it is refused if it is
	// not whole, however little is missing.
	Arriving bool
}

// isText reports whether the item is to be spoken.
func (i Item) isText() bool {
	ext := strings.ToLower(filepath.Ext(i.Path))
	return ext == ".txt" || ext == ".toml"
}

func isTOML(path string) bool { return strings.EqualFold(filepath.Ext(path), ".toml") }

// Refusal is an item that was refused, and why.
type Refusal struct {
	Name string
	Err  error
}

// The most entries of a list, or files of a folder.
const maxItems = 100_000

// Collect returns the items that the arguments name: files, all files in
// folders, and the entries of M3U, M3U8 and XSPF lists. Text files (.txt, or
// .toml with a text) are to be spoken, unless a sound of the same name is
// beside them: then a .toml file holds the metadata of that sound, as it does
// for a .txt beside it. What cannot be imported, such as an entry outside of
// its list's folder, is returned as refused.
func (g *Ingester) Collect(args []string) ([]Item, []Refusal) {
	var c collection
	for _, arg := range args {
		info, err := os.Lstat(arg)
		switch {
		case err != nil:
			_, openErr := g.OpenSource(arg)
			if openErr == nil {
				openErr = err
			}
			c.refuse(arg, openErr)
		case info.IsDir():
			c.folder(arg)
		case isList(arg):
			g.list(&c, arg)
		default:
			c.add(Item{Path: arg})
		}
	}
	return c.items, c.refused
}

type collection struct {
	items   []Item
	refused []Refusal
}

func (c *collection) refuse(name string, err error) {
	c.refused = append(c.refused, Refusal{name, err})
}

func (c *collection) add(i Item) {
	if len(c.items) == maxItems {
		c.refuse(i.Path, refuse("ingest.many", maxItems))
	}
	if len(c.items) < maxItems {
		c.items = append(c.items, i)
	}
}

// companions are the extensions of files that are often in folders of sound and
// are not sound.
var companions = []string{".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".ini", ".db", ".nfo", ".cue", ".log", ".lrc", ".pdf",
	".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".htm", ".html", ".url", ".lnk", ".m3u", ".m3u8", ".xspf", ".pls", ".md", ".json", ".xml",
	".part", ".crdownload", ".tmp", ".partial"}

// skip reports whether a file in a folder is to be ignored.
func skip(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") ||
		slices.Contains(companions, strings.ToLower(filepath.Ext(name)))
}

func (c *collection) folder(dir string) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			c.refuse(path, refuse("ingest.forbidden"))
			if d != nil && d.IsDir() {
				return filepath.SkipDir
			}
		case path == dir:
		case d.IsDir() && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir() || skip(d.Name()):
		case !d.Type().IsRegular():
			key := "ingest.special"
			if d.Type()&os.ModeSymlink != 0 {
				key = "ingest.link"
			}
			c.refuse(path, refuse(key))
		case Item{Path: path}.isText() && hasSound(path):
		default:
			c.add(Item{Path: path})
		}
		return nil
	})
	if err != nil {
		c.refuse(dir, err)
	}
}

// hasSound reports whether a sound of the same name is beside a .toml or .txt
// file, or a .txt beside a .toml, so that the file itself is not spoken.
func hasSound(path string) bool {
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		if strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())) != stem || skip(e.Name()) || e.IsDir() {
			return false
		}
		speaksOf := strings.EqualFold(filepath.Ext(path), ".toml") && strings.EqualFold(filepath.Ext(e.Name()), ".txt")
		return speaksOf || !Item{Path: e.Name()}.isText()
	})
}

func isList(path string) bool {
	return slices.Contains([]string{".m3u", ".m3u8", ".xspf"}, strings.ToLower(filepath.Ext(path)))
}

// entry is a file as a list names it.
type entry struct {
	name   string // as in the list
	places []place
	meta   Meta
}

// place is a possible location of an entry's file: a path, or a URI. The first
// that exists is used.
type place struct {
	text string
	uri  bool
	base []string // bases of a relative URI, the outermost first, after the list itself
}

func (g *Ingester) list(c *collection, path string) {
	text, err := g.readSmall(path)
	var entries []entry
	if err == nil {
		if strings.EqualFold(filepath.Ext(path), ".xspf") {
			entries, err = readXSPF(text)
		} else {
			entries, err = readM3U(text, strings.EqualFold(filepath.Ext(path), ".m3u8"))
		}
	}
	if err == nil && len(entries) == 0 {
		err = refuse("ingest.list_empty")
	}
	if err != nil {
		c.refuse(path, err)
		return
	}
	for _, e := range entries {
		file, err := e.find(path)
		if err != nil {
			c.refuse(e.name, err)
			continue
		}
		c.add(Item{Path: file, Listed: e.meta})
	}
}

// readM3U parses a list of lines: paths, and #EXTINF titles before them. M3U8
// is UTF-8; plain M3U may also be GBK or, with a byte order mark, UTF-16, as
// Windows writes it.
func readM3U(text []byte, utf8Only bool) ([]entry, error) {
	if utf8Only && !utf8.Valid(text) {
		return nil, refuse("ingest.list_broken", "UTF-8")
	}
	lines := decodeText(text, "")
	if strings.IndexByte(lines, 0) >= 0 {
		return nil, refuse("ingest.list_broken", "UTF-8")
	}
	if lines == "" && len(text) > 3 {
		return nil, refuse("ingest.list_broken", "UTF-8, GBK")
	}
	var out []entry
	var meta Meta
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		info, ok := strings.CutPrefix(line, "#EXTINF:")
		switch {
		case line == "":
		case ok:
			_, title, _ := strings.Cut(info, ",")
			meta.Title = clean(title)
		case strings.HasPrefix(line, "#"):
		default:
			e := entry{name: line, meta: meta}
			if scheme, _, ok := strings.Cut(line, ":"); ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\. `) {
				e.places = []place{{text: line, uri: true}}
			} else {
				e.name = strings.ReplaceAll(line, `\`, "/")
				e.places = []place{{text: e.name}}
				// Many players write relative entries as URIs.
				if plain, err := url.PathUnescape(e.name); err == nil && plain != e.name {
					e.places = append(e.places, place{text: plain})
				}
			}
			out = append(out, e)
			meta = Meta{}
		}
	}
	return out, nil
}

// based is an element that may change the base of relative URIs in it.
type based struct {
	Base string `xml:"http://www.w3.org/XML/1998/namespace base,attr"`
}

// readXSPF parses a list as xspf.org defines it, version 1, in whatever
// encoding it declares.
func readXSPF(text []byte) ([]entry, error) {
	var list struct {
		XMLName xml.Name `xml:"http://xspf.org/ns/0/ playlist"`
		based
		Lists []struct {
			based
			Tracks []struct {
				based
				Locations []struct {
					based
					URI string `xml:",chardata"`
				} `xml:"location"`
				Title  string `xml:"title"`
				Album  string `xml:"album"`
				Number string `xml:"trackNum"`
			} `xml:"track"`
		} `xml:"trackList"`
	}
	text, marked := unmark(text)
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(name string, in io.Reader) (io.Reader, error) {
		if marked {
			return in, nil // already converted to UTF-8
		}
		from, err := htmlindex.Get(name)
		if err != nil {
			return nil, err
		}
		return from.NewDecoder().Reader(in), nil
	}
	if err := d.Decode(&list); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, refuse("ingest.list_empty")
		}
		return nil, refuse("ingest.list_broken", err.Error())
	}
	var out []entry
	for _, l := range list.Lists {
		for _, t := range l.Tracks {
			if len(t.Locations) == 0 {
				continue // a track without a location is allowed and names no file
			}
			e := entry{name: strings.TrimSpace(t.Locations[0].URI)}
			for _, at := range t.Locations {
				e.places = append(e.places, place{
					text: strings.TrimSpace(at.URI), uri: true, base: []string{list.Base, l.Base, t.Base, at.Base},
				})
			}
			m := Meta{Title: clean(t.Title), Series: clean(t.Album)}
			if n, err := strconv.Atoi(strings.TrimSpace(t.Number)); err == nil && n > 0 && n <= MaxIssue && m.Series != "" {
				m.Issue = n
			}
			e.meta = m
			out = append(out, e)
		}
	}
	return out, nil
}

// find returns the file of an entry of that list: the first of its places at
// which there is a file.
func (e entry) find(list string) (file string, err error) {
	for _, p := range e.places {
		text, resolveErr := p.resolved(list)
		if resolveErr == nil {
			if file, resolveErr = within(filepath.Dir(list), text); resolveErr == nil {
				return file, nil
			}
		}
		var now refusal
		// If one place is outside of the folder, report that, not that another
		// does not exist.
		if err == nil || errors.As(resolveErr, &now) && now.Key == "ingest.list_outside" {
			err = resolveErr
		}
	}
	return "", err
}

// resolved returns the path that a place names; only a path may stay relative.
func (p place) resolved(list string) (string, error) {
	if !p.uri {
		return p.text, nil
	}
	abs, err := filepath.Abs(list)
	if err != nil {
		return "", err
	}
	at := &url.URL{Scheme: "file", Path: abs}
	for _, ref := range append(slices.Clone(p.base), p.text) {
		if ref = strings.TrimSpace(ref); ref == "" {
			continue
		}
		if at, err = at.Parse(ref); err != nil {
			return "", refuse("ingest.list_place")
		}
	}
	switch {
	case p.text == "":
		return "", refuse("ingest.list_place")
	case at.Scheme == "file" && (at.Host == "" || at.Host == "localhost") && at.Opaque == "":
		return at.Path, nil
	}
	return "", refuse("ingest.list_remote")
}

// within returns the file of a path in a list. It must be in the list's folder
// or below, after links are followed.
func within(dir, place string) (string, error) {
	if place == "" || strings.IndexByte(place, 0) >= 0 {
		return "", refuse("ingest.list_place")
	}
	// A drive letter makes an absolute path, which is in no folder here.
	if len(place) > 1 && place[1] == ':' {
		return "", refuse("ingest.list_outside")
	}
	root, err := filepath.Abs(dir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(place) {
		place = filepath.Join(root, place)
	}
	place = filepath.Clean(place)
	inside := func(p string) bool {
		rel, err := filepath.Rel(root, p)
		return err == nil && filepath.IsLocal(rel) && rel != "." // the folder itself is not an entry
	}
	if !inside(place) {
		// The list's folder may itself have been reached through a link.
		if abs, err := filepath.Abs(dir); err == nil {
			if rel, err := filepath.Rel(abs, place); err == nil && filepath.IsLocal(rel) {
				place = filepath.Join(root, rel)
			}
		}
		if !inside(place) {
			return "", refuse("ingest.list_outside")
		}
	}
	real, err := filepath.EvalSymlinks(place)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", refuse("ingest.missing")
	case err != nil:
		return "", refuse("ingest.forbidden")
	case !inside(real):
		return "", refuse("ingest.list_outside")
	}
	return real, nil
}
