package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf8"

	"dalaba/playlist/say"

	"github.com/pelletier/go-toml/v2"
)

var dataDirLine = regexp.MustCompile(`(?m)^[ \t]*data_dir[ \t]*=[ \t]*["']([^"'\\\r\n]+)["']`)

var languageLine = regexp.MustCompile(`(?m)^[ \t]*language[ \t]*[=＝:：][^\w\n]*(zh-CN|en)\b`)

// CanBeFolder reports whether a path is a folder, or nothing yet.
func CanBeFolder(path string) bool { return fileInTheWay(path) == "" }

// fileInTheWay returns the part of a path that is no folder, so that the path cannot be
// one; empty if there is none.
func fileInTheWay(path string) string {
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case err == nil && info.IsDir() || err != nil && !errors.Is(err, syscall.ENOTDIR):
			return ""
		case err == nil:
			return at
		}
	}
}

// Language is the language that a config names, which may be faulty elsewhere; empty if
// it names none that there is.
func Language(text []byte) string {
	var c struct {
		Site struct {
			Language string `toml:"language"`
		} `toml:"site"`
	}
	if err := toml.Unmarshal(text, &c); err != nil || c.Site.Language == "" {
		if m := languageLine.FindSubmatch(text); m != nil {
			c.Site.Language = string(m[1])
		}
	}
	switch l := say.Lang(c.Site.Language); l {
	case say.Chinese, say.English:
		return string(l)
	}
	return ""
}

// DataDir is the data_dir of a config that may be faulty elsewhere, resolved
// as [Read] does; empty if it cannot be made out. A reader's [Library] is
// in that folder, so it is needed before the config is read.
func DataDir(file string, text []byte) string {
	var c struct {
		Site struct {
			DataDir string `toml:"data_dir"`
		} `toml:"site"`
	}
	if err := toml.Unmarshal(text, &c); err != nil || c.Site.DataDir == "" {
		// A slip on another line must not cost the last good config, which
		// lies in that folder; nor one in a header.
		if m := dataDirLine.FindSubmatch(text); m != nil {
			c.Site.DataDir = string(m[1])
		}
	}
	c.Site.DataDir = strings.TrimSpace(c.Site.DataDir)
	if c.Site.DataDir == "" || !utf8.ValidString(c.Site.DataDir) {
		return ""
	}
	if filepath.IsAbs(c.Site.DataDir) {
		return filepath.Clean(c.Site.DataDir)
	}
	return filepath.Join(filepath.Dir(file), c.Site.DataDir)
}
