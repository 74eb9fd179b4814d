package ingest

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/text/unicode/norm"

	"dalaba/playlist"
)

// FileNamed returns what the name of a file says of the clip in it.
func FileNamed(path string) playlist.Named { return playlist.ReadName(clean(stem(path))) }

// stem is the name of a file without its extension, in the composed form of
// Unicode: Macs write another.
func stem(path string) string {
	name := nameOf(path)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// nameOf is the name of a file or a folder, as people read it.
func nameOf(path string) string { return norm.NFC.String(playlist.Legible(filepath.Base(path))) }

// called returns the metadata of an item: what the operator said of it, then what
// its list and tags say, then what its folder, its title and its file's name say.
// The operator's title stays as it is; from any other the number is removed.
func (i Item) called(said, found Meta) Meta {
	said, found = said.tidy(), found.tidy()
	own, title, file := playlist.ReadName(said.Title), playlist.ReadName(found.Title), FileNamed(i.Path)
	m := said.Or(found)
	m.Series = cmp.Or(m.Series, clean(i.Folder), own.Series, title.Series, file.Series)
	m.Issue = cmp.Or(said.Issue, own.Issue, title.Issue, found.Issue, file.Issue)
	m.Title = cmp.Or(said.Title, title.TitleIn(m.Series), file.TitleIn(m.Series), "?")
	return m
}

// seriesOf returns the series for which the folders of a file below root stand, see
// [playlist.SeriesOf]. Both paths are absolute.
func seriesOf(root, file string) string {
	var folders []string
	for dir := filepath.Dir(file); dir != root && dir != filepath.Dir(dir) && !ofNoSeries(dir); dir = filepath.Dir(dir) {
		folders = append(folders, nameOf(dir))
	}
	slices.Reverse(folders)
	return clean(playlist.SeriesOf(folders))
}

// ofNoSeries reports whether a folder is the top of a stick or another volume, or
// of all that a user has.
func ofNoSeries(dir string) bool {
	parent := filepath.Dir(dir)
	switch {
	case parent == "/mnt", parent == "/media", parent == "/home", filepath.Dir(parent) == "/media", filepath.Dir(parent) == "/run/media":
		return true
	}
	own, err1 := os.Stat(dir)
	above, err2 := os.Stat(parent)
	if err1 != nil || err2 != nil {
		return false
	}
	a, ok1 := own.Sys().(*syscall.Stat_t)
	b, ok2 := above.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && a.Dev != b.Dev
}

// Glob returns the files that match a pattern, in natural order, whichever form
// of Unicode their names have.
func Glob(pattern string) ([]string, error) {
	var all []string
	for _, form := range []string{pattern, norm.NFC.String(pattern), norm.NFD.String(pattern)} {
		paths, err := filepath.Glob(form)
		if err != nil {
			return nil, err
		}
		all = append(all, paths...)
	}
	slices.SortFunc(all, playlist.CompareNames)
	return slices.Compact(all), nil
}

// alike returns the path of a file as the folders have it, if names in the path
// differ from those there only in the form of Unicode. Else it returns the path.
func alike(path string) string {
	if norm.NFC.String(path) == norm.NFD.String(path) {
		return path // it has one form only
	}
	if _, err := os.Lstat(path); err == nil {
		return path
	}
	dir, name := filepath.Split(path)
	if dir = filepath.Clean(dir); dir != "/" && dir != "." {
		dir = alike(dir)
	}
	if found := only(dir, func(other string) bool { return sameName(other, name, false) }); found != "" {
		return filepath.Join(dir, found)
	}
	return path
}

// only returns the name of the one entry of a folder that fits; empty if there is
// none, or several.
func only(dir string, fits func(name string) bool) string {
	var found []string
	eachIn(dir, func(e fs.DirEntry) {
		if fits(e.Name()) && len(found) < 2 {
			found = append(found, e.Name())
		}
	})
	if len(found) != 1 {
		return ""
	}
	return found[0]
}
