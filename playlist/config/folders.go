package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"dalaba/playlist/say"
)

// watched is a folder from which files are taken and moved aside.
type watched struct {
	key string
	at  place
	dir string
}

// folders checks that nothing of the controller's own lies where files are
// taken and moved aside: the inbox and the alerts' drop folder.
func (r *reader) folders() {
	remedy := say.M("config.watched_remedy")
	bad := map[int]bool{} // of these something is reported
	for i, w := range r.watched {
		fault := func(what say.Message) {
			bad[i] = true
			r.fault(w.at, w.key, what, remedy)
		}
		dir := resolved(w.dir)
		if data := r.out.Site.DataDir; data != "" {
			if d := resolved(data); inside(d, dir) || inside(dir, d) {
				fault(say.M("config.watched_data", shown(data)))
				continue
			}
		}
		if p := r.ownIn(dir); p != "" {
			fault(say.M("config.watched_own", shown(p)))
			continue
		}
		for j, other := range r.watched[:i] {
			if o := resolved(other.dir); !bad[j] && (inside(o, dir) || inside(dir, o)) {
				fault(say.M("config.watched_twice", other.key, r.src.line(other.at)))
			}
		}
	}
}

// drive is the beginning of a path on Windows.
var drive = regexp.MustCompile(`^[A-Za-z]:[\\/]`)

// foreign warns of a path that is one elsewhere: a shell puts the home folder for ~, and
// Windows has drives. Here each would be the name of a folder beside the config.
func (s *section) foreign(key string, v *value, path string) bool {
	switch path = strings.TrimSpace(path); {
	case path == "~" || strings.HasPrefix(path, "~/"):
		s.r.problem(Warning, v.at, s.at(key), say.M("config.path_home"), say.M("config.path_remedy"))
	case drive.MatchString(path):
		s.r.problem(Warning, v.at, s.at(key), say.M("config.path_drive", path[:2]), say.M("config.path_remedy"))
	default:
		return false
	}
	return true
}

// ownIn is a file or pattern that the config lives by and that reaches into
// the folder; empty if there is none.
func (r *reader) ownIn(dir string) string {
	for _, p := range r.files {
		if inside(resolved(p), dir) || inside(filepath.Join(resolved(filepath.Dir(p)), filepath.Base(p)), dir) {
			return p
		}
	}
	for _, p := range r.patterns {
		if r.reaches(p, dir) {
			return p
		}
	}
	return ""
}

// reaches reports whether a pattern of clips may match a file in the folder
// or below it.
func (r *reader) reaches(pattern, dir string) bool {
	at, rest := filepath.Dir(r.file), filepath.Clean(pattern)
	if filepath.IsAbs(rest) {
		at = string(filepath.Separator)
	}
	parts := strings.FieldsFunc(rest, func(c rune) bool { return c == filepath.Separator })
	parts = parts[:max(len(parts)-1, 0)] // the last is a file's name
	for len(parts) > 0 && !strings.ContainsAny(parts[0], `*?[\`) {
		at, parts = filepath.Join(at, parts[0]), parts[1:]
	}
	at = resolved(at)
	if inside(at, dir) {
		return true
	}
	if !inside(dir, at) {
		return false
	}
	below, err := filepath.Rel(at, dir)
	if err != nil {
		return false
	}
	names := strings.Split(below, string(filepath.Separator))
	if len(parts) < len(names) {
		return false
	}
	for i, n := range names {
		if ok, err := filepath.Match(parts[i], n); err != nil || !ok {
			return false
		}
	}
	return true
}

// resolved is where a path leads, links followed as far as it exists.
func resolved(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return abs
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// inside reports whether a resolved path is the folder or lies in it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(os.PathSeparator))
}
