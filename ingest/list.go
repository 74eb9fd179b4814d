package ingest

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/htmlindex"
)

// Item is one thing to import: a sound, or a text to be spoken.
type Item struct {
	Path   string // of a file
	Within string // a folder of others that the file is in: no link in it is followed; empty: none
	Meta   Meta   // given by the operator; comes before all else
	Listed Meta   // given by the list that the item is in

	// Since is when the handing-in began that the item is part of: it replaces no clip
	// that came in since. Zero: the item was handed in alone.
	Since time.Time

	// Folder is the series for which its folder stands; empty: none.
	Folder string

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

func isList(path string) bool {
	return slices.Contains([]string{".m3u", ".m3u8", ".pls", ".xspf"}, strings.ToLower(filepath.Ext(path)))
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

func (g *Ingester) list(c *Collection, path string) {
	text, err := g.readSmall(path)
	var entries []entry
	if err == nil {
		switch strings.ToLower(filepath.Ext(path)) {
		case ".xspf":
			entries, err = readXSPF(text)
		case ".pls":
			entries, err = readPLS(text)
		default:
			entries, err = readM3U(text)
		}
	}
	if err == nil && len(entries) == 0 {
		err = refuse("ingest.list_empty")
	}
	if err != nil {
		c.refuse(path, err)
		return
	}
	root, err := realPath(filepath.Dir(path))
	if err != nil {
		c.refuse(path, err)
		return
	}
	for _, e := range entries {
		file, err := e.find(path)
		if err == nil {
			err = notSound(file)
		}
		if err != nil {
			c.refuse(e.name, err)
			continue
		}
		c.add(Item{Path: file, Within: cmp.Or(g.within, root), Listed: e.meta, Folder: seriesOf(root, file)})
	}
}

// lines returns the lines of a list, whichever of the three line ends it has. A
// list that is not marked may be GBK or, with a byte order mark, UTF-16, as
// Windows writes it.
func lines(text []byte) ([]string, error) {
	all := decodeText(text, "")
	if strings.IndexByte(all, 0) >= 0 {
		return nil, refuse("ingest.list_broken", "UTF-8")
	}
	if all == "" && len(text) > 3 {
		return nil, refuse("ingest.list_broken", "UTF-8, GBK")
	}
	return strings.FieldsFunc(all, func(r rune) bool { return r == '\r' || r == '\n' }), nil
}

// readM3U parses a list of lines: paths, and #EXTINF titles before them. M3U8
// should be UTF-8, and some programs write GBK.
func readM3U(text []byte) ([]entry, error) {
	all, err := lines(text)
	if err != nil {
		return nil, err
	}
	var out []entry
	var meta Meta
	for _, line := range all {
		line = strings.TrimSpace(line)
		info, ok := strings.CutPrefix(line, "#EXTINF:")
		switch {
		case line == "":
		case ok:
			_, title, _ := strings.Cut(info, ",")
			meta.Title = clean(title)
		case strings.HasPrefix(line, "#"):
		default:
			out = append(out, written(line, meta))
			meta = Meta{}
		}
	}
	return out, nil
}

// readPLS parses the list that Winamp and radio programs write: File1=, Title1=.
func readPLS(text []byte) ([]entry, error) {
	all, err := lines(text)
	if err != nil {
		return nil, err
	}
	files, titles := map[int]string{}, map[int]string{}
	for _, line := range all {
		key, value, _ := strings.Cut(line, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		for word, values := range map[string]map[int]string{"file": files, "title": titles} {
			if n, err := strconv.Atoi(strings.TrimPrefix(key, word)); err == nil && strings.HasPrefix(key, word) {
				values[n] = strings.TrimSpace(value)
			}
		}
	}
	var out []entry
	for _, n := range slices.Sorted(maps.Keys(files)) {
		out = append(out, written(files[n], Meta{Title: clean(titles[n])}))
	}
	return out, nil
}

var (
	// A URI begins with a scheme. 07:30早间.mp3 and 早间:1.mp3 do not; news:1.mp3
	// may be either.
	scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`)

	// drive begins an absolute path of Windows.
	drive = regexp.MustCompile(`^[A-Za-z]:[/\\]`)
)

// written is an entry as people and players write it: a path or a URI.
func written(line string, meta Meta) entry {
	e := entry{name: line, meta: meta}
	uri := scheme.MatchString(line)
	if uri {
		e.places = append(e.places, place{text: line, uri: true})
	} else {
		e.name = strings.ReplaceAll(line, `\`, "/")
	}
	if !uri || !strings.Contains(line, "://") {
		path := strings.ReplaceAll(line, `\`, "/")
		e.places = append(e.places, place{text: path})
		// Many players write relative entries as URIs.
		if plain, err := url.PathUnescape(path); err == nil && plain != path {
			e.places = append(e.places, place{text: plain})
		}
	}
	return e
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
				text := strings.TrimSpace(at.URI)
				e.places = append(e.places, place{text: text, uri: true, base: []string{list.Base, l.Base, t.Base, at.Base}})
				if strings.Contains(text, ":") && !strings.Contains(text, "://") {
					e.places = append(e.places, written(text, Meta{}).places...) // a path, as some write it
				}
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
	keep := func(now error) {
		// If one place is outside of the folder, report that, not that another
		// does not exist.
		var why refusal
		if err == nil || errors.As(now, &why) && why.Key == "ingest.list_outside" {
			err = now
		}
	}
	for _, p := range e.places {
		path, far, resolveErr := p.resolved(list)
		if resolveErr == nil {
			if file, resolveErr = within(filepath.Dir(list), path); resolveErr == nil {
				return file, nil
			}
		}
		keep(resolveErr)
		// A list that was made on another machine has that machine's paths: the
		// files came along, in the list's folder or below it.
		if !far {
			continue
		}
		for rest, more := path, true; more; {
			if _, rest, more = strings.Cut(rest, "/"); more && rest != "" && !strings.HasPrefix(rest, "/") {
				if file, tailErr := within(filepath.Dir(list), rest); tailErr == nil {
					return file, nil
				}
			}
		}
	}
	return "", err
}

// resolved returns the path that a place names; only a path may stay relative. It
// is far if it is an absolute path, perhaps of another machine; then there is a
// path beside the error also.
func (p place) resolved(list string) (path string, far bool, err error) {
	if !p.uri {
		return p.text, filepath.IsAbs(p.text) || drive.MatchString(p.text), nil
	}
	abs, err := filepath.Abs(list)
	if err != nil {
		return "", false, err
	}
	at := &url.URL{Scheme: "file", Path: abs}
	for _, ref := range append(slices.Clone(p.base), p.text) {
		if ref = strings.TrimSpace(ref); ref == "" {
			continue
		}
		if at, err = at.Parse(ref); err != nil {
			return "", false, refuse("ingest.list_place")
		}
	}
	far = strings.HasPrefix(strings.ToLower(p.text), "file:")
	switch {
	case p.text == "":
		return "", false, refuse("ingest.list_place")
	case at.Scheme != "file" || at.Opaque != "":
		return "", false, refuse("ingest.list_remote")
	case at.Host == "" || at.Host == "localhost":
		return at.Path, far, nil
	}
	return at.Path, far, refuse("ingest.list_remote")
}

// within returns the file of a path in a list. It must be in the list's folder
// or below, after links are followed.
func within(dir, place string) (string, error) {
	if place == "" || strings.IndexByte(place, 0) >= 0 {
		return "", refuse("ingest.list_place")
	}
	// An absolute path of Windows is in no folder here.
	if drive.MatchString(place) {
		return "", refuse("ingest.list_outside")
	}
	root, err := realPath(dir)
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
	if errors.Is(err, os.ErrNotExist) {
		real, err = filepath.EvalSymlinks(spelt(root, place))
	}
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

// spelt returns a path below root as the folders spell it: a list from Windows or
// from a Mac may have other case, or another form of Unicode.
func spelt(root, path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	at := root
	for _, name := range strings.Split(rel, "/") {
		if _, err := os.Lstat(filepath.Join(at, name)); err != nil {
			for _, windows := range []bool{false, true} {
				if found := only(at, func(other string) bool { return sameName(other, name, windows) }); found != "" {
					name = found
					break
				}
			}
		}
		at = filepath.Join(at, name)
	}
	return at
}
