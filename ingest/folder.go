package ingest

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"dalaba/data/secret"
	"dalaba/data/shared"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// The extensions of files that are often in folders of sound and are not sound.
var (
	companions = []string{".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".ini", ".db", ".nfo", ".log", ".lrc", ".md", ".json", ".xml", ".tmp"}
	unfinished = []string{".part", ".partial", ".crdownload", ".download", ".downloading", ".opdownload", ".xltd", ".td"}
	archives   = []string{".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".iso"}
)

// others are kinds of files that are no sound and that people take for one, with
// the key of what is said of them. A file beside a sound of its name belongs to it.
var others = []struct {
	key  string
	exts []string
}{
	{"ingest.writing", []string{".doc", ".docx", ".wps", ".rtf", ".odt"}}, // can be saved as text
	{"ingest.paper", []string{".pdf", ".ppt", ".pptx", ".xls", ".xlsx", ".et", ".dps", ".ods", ".odp", ".ofd", ".pages", ".key", ".numbers", ".epub", ".mobi"}},
	{"ingest.shortcut", []string{".lnk", ".url", ".desktop", ".webloc"}},
	{"ingest.page", []string{".htm", ".html", ".mht", ".mhtml"}},
	{"ingest.cue", []string{".cue"}},
	{"ingest.player_list", []string{".wpl", ".zpl", ".asx", ".wax"}},
	{"ingest.encrypted", []string{".ncm", ".kgm", ".kgma", ".vpr", ".kwm", ".mflac", ".mflac0", ".mgg", ".mgg0", ".mgg1", ".mggl", ".qmc0", ".qmc2", ".qmc3", ".qmc4", ".qmc6", ".qmc8",
		".qmcflac", ".qmcogg", ".tkm", ".tm0", ".tm2", ".tm3", ".tm6", ".bkcmp3", ".bkcflac", ".x2m", ".x3m"}},
	{"ingest.program", []string{".exe", ".msi", ".apk", ".bat", ".cmd", ".scr", ".vbs", ".dmg"}},
}

// otherKind returns the key of what is said of a file that is no sound; empty for
// any that may be one.
func otherKind(path string) string {
	for _, o := range others {
		if hasExt(path, o.exts) {
			return o.key
		}
	}
	return ""
}

func hasExt(path string, exts ...[]string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return slices.ContainsFunc(exts, func(list []string) bool { return slices.Contains(list, ext) })
}

// skip reports whether a file in a folder is to be ignored.
func skip(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") || hasExt(name, companions)
}

// notSound returns why a file is not taken that is no sound by its name, or is not
// whole; nil for any other.
func notSound(path string) error {
	switch {
	case otherKind(path) != "":
		return refuse(otherKind(path), filepath.Ext(path))
	case hasExt(path, archives):
		return refuse("ingest.archive", filepath.Ext(path))
	case hasExt(path, unfinished):
		return refusal{say.M("ingest.unfinished", filepath.Ext(path)), ErrIncomplete}
	}
	return nil
}

// rank orders the files of one name, as in 第3期.mp3, 第3期.txt, 第3期.toml and
// 第3期.docx: the first is the item, and the others belong to it. It is negative
// for files that belong to none.
func rank(name string) int {
	switch {
	case skip(name), isList(name), hasExt(name, archives, unfinished):
		return -1
	case otherKind(name) != "":
		return 0
	case isTOML(name):
		return 1
	case Item{Path: name}.isText():
		return 2
	}
	return 3
}

// listing holds the names of the files of folders, by folder and stem. Each folder is read
// once.
type listing map[string]map[string][]string

// belongs reports whether a file belongs to another of its name in its folder, so
// that it is not an item itself.
func (l listing) belongs(path string) bool {
	own := rank(filepath.Base(path))
	if own < 0 || own == 3 {
		return false
	}
	return slices.ContainsFunc(l.namesakes(path), func(name string) bool { return rank(name) > own })
}

// namesakes returns the names of the files in a file's folder that have its name
// but for the extension, its own among them.
func (l listing) namesakes(path string) []string {
	dir := filepath.Dir(path)
	if l[dir] == nil {
		l[dir] = map[string][]string{}
		eachIn(dir, func(e fs.DirEntry) {
			if s := stem(e.Name()); !e.IsDir() {
				l[dir][s] = append(l[dir][s], e.Name())
			}
		})
	}
	return l[dir][stem(path)]
}

// Refusal is an item that was refused, and why.
type Refusal struct {
	Name string
	Err  error
}

// Collection is what there is to import.
type Collection struct {
	Items   []Item
	Refused []Refusal
	Passed  int // files in folders that are neither, such as pictures
}

// eachIn calls do with the entries of a folder, of a very large one with some of them.
// An unreadable folder has none.
func eachIn(dir string, do func(fs.DirEntry)) {
	f, err := shared.Open(dir)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_ = f.Each(maxListed, func(e fs.DirEntry) error {
		do(e)
		return nil
	})
}

const (
	maxItems  = 100_000 // entries of a list, or files of a folder
	maxListed = 200_000 // files and folders in a folder, whatever they are
)

// CollectIn is Collect of files in a folder into which other people put things.
func (g *Ingester) CollectIn(dir string, files []string) Collection {
	taker := *g
	taker.within = dir
	c := taker.Collect(files)
	for i := range c.Items {
		c.Items[i].Within = dir
	}
	return c
}

// Collect returns the items that the arguments name: files, all files in
// folders, of which one may be a link of the operator's own to a folder, and the entries of M3U, M3U8, PLS and XSPF lists; but for lists, in
// natural order. Text files (.txt, or .toml with a text) are to be spoken, unless
// a sound of the same name is beside them: then a .toml file holds the metadata of
// that sound, as it does for a .txt beside it. A folder is the series of the files
// in it, see [playlist.SeriesOf]; so it is if several of them are named one by
// one, as a shell does for 健康微课堂/*.mp3. A list in a folder gives the files
// there their titles. What cannot be imported, such as an entry outside of its
// list's folder, is returned as refused.
func (g *Ingester) Collect(args []string) Collection {
	var c Collection
	args = slices.SortedFunc(slices.Values(args), playlist.CompareNames)
	siblings := map[string]int{}
	for i := range args {
		args[i] = alike(args[i])
		if info, err := os.Lstat(args[i]); err == nil && info.Mode().IsRegular() {
			siblings[filepath.Dir(args[i])]++
		}
	}
	for _, arg := range args {
		info, err := os.Lstat(arg)
		if err == nil && g.within == "" && chosen(info) {
			if to, err := os.Stat(arg); err == nil && to.IsDir() {
				info = to
			}
		}
		switch {
		case err != nil:
			_, openErr := g.openSource(arg)
			if openErr == nil {
				openErr = err
			}
			c.refuse(arg, openErr)
		case info.IsDir():
			g.folder(&c, arg)
		case isList(arg):
			g.list(&c, arg)
		case notSound(arg) != nil:
			c.refuse(arg, notSound(arg))
		default:
			item := Item{Path: arg}
			if dir := filepath.Dir(arg); dir != "." && siblings[dir] > 1 {
				item.Folder = seriesIn(dir, arg)
			}
			c.add(item)
		}
	}
	return c
}

// chosen reports whether a link is the operator's own, or root's. It is followed to a
// folder, as the name of the folder itself would be. Another user's may be among the
// arguments because a shell put all names of a folder there.
func chosen(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeSymlink != 0 && secret.Trusted(st.Uid)
}

// seriesIn is seriesOf for a file in a folder that was named.
func seriesIn(dir, file string) string {
	root, err1 := filepath.Abs(dir)
	path, err2 := filepath.Abs(file)
	if err1 != nil || err2 != nil {
		return ""
	}
	return seriesOf(filepath.Dir(root), path)
}

func (c *Collection) refuse(name string, err error) {
	c.Refused = append(c.Refused, Refusal{name, err})
}

func (c *Collection) add(i Item) {
	if len(c.Items) == maxItems {
		c.refuse(i.Path, refuse("ingest.many", maxItems))
	}
	if len(c.Items) < maxItems {
		c.Items = append(c.Items, i)
	}
}

// folder collects the files in a folder and in those below it.
func (g *Ingester) folder(c *Collection, dir string) {
	var found Collection
	var lists []string
	all := listing{}
	top, err := shared.Open(dir)
	if err != nil {
		c.refuse(dir, refuse("ingest.forbidden"))
		return
	}
	defer func() { _ = top.Close() }()
	taker := *g
	taker.within = cmp.Or(g.within, dir)
	err = top.Walk(maxListed, func(name string, d fs.DirEntry, err error) error {
		path := filepath.Join(dir, name)
		switch {
		case errors.Is(err, shared.ErrDeep):
			found.refuse(path, refuse("ingest.deep", shared.MostDeep))
		case err != nil:
			found.refuse(path, refuse("ingest.forbidden"))
		case d.IsDir() && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir():
		case skip(d.Name()):
			found.Passed++
		case !d.Type().IsRegular():
			key := "ingest.special"
			if d.Type()&os.ModeSymlink != 0 {
				key = "ingest.link"
			}
			found.refuse(path, refuse(key))
		case isList(path):
			lists = append(lists, path)
		case all.belongs(path):
			if !isTOML(path) {
				found.Passed++
			}
		case notSound(path) != nil:
			found.refuse(path, notSound(path))
		default:
			found.Items = append(found.Items, Item{Path: path, Within: taker.within, Folder: seriesIn(dir, path)})
		}
		return nil
	})
	slices.SortFunc(found.Items, func(a, b Item) int { return playlist.CompareNames(a.Path, b.Path) })
	slices.SortFunc(found.Refused, func(a, b Refusal) int { return playlist.CompareNames(a.Name, b.Name) })
	found.Passed += taker.entitle(found.Items, lists)
	for _, i := range found.Items {
		c.add(i)
	}
	c.Refused = append(c.Refused, found.Refused...)
	c.Passed += found.Passed
	switch {
	case errors.Is(err, shared.ErrMany):
		err = refuse("ingest.crowded", maxListed)
	case errors.Is(err, fs.ErrPermission):
		err = refuse("ingest.forbidden")
	}
	if err != nil {
		c.refuse(dir, err)
	}
}

// entitle gives items what the lists beside them say, and returns how many lists
// name none of them.
func (g *Ingester) entitle(items []Item, lists []string) (useless int) {
	said := map[string]Meta{}
	for _, path := range lists {
		var c Collection
		g.list(&c, path)
		if len(c.Items) == 0 {
			useless++
		}
		for _, i := range c.Items {
			said[i.Path] = said[i.Path].Or(i.Listed)
		}
	}
	if len(said) == 0 {
		return useless
	}
	for n := range items {
		if real, err := realPath(items[n].Path); err == nil {
			items[n].Listed = said[real]
		}
	}
	return useless
}

// realPath is the absolute path of a file after links are followed.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// sameName reports whether two names are the same for a person: whatever form of
// Unicode they have or if one is GBK, and for Windows also in whatever case.
func sameName(a, b string, windows bool) bool {
	a, b = nameOf(a), nameOf(b)
	return a == b || windows && strings.EqualFold(a, b)
}
