package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf16"
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

// decoded is a text in UTF-8 with lines, of one that an editor saved as UTF-16 or with
// carriage returns alone.
func decoded(text []byte) []byte {
	zeros := [2]int{} // at even places, and at odd ones
	for i, c := range text[:min(len(text), 64)] {
		if c == 0 {
			zeros[i%2]++
		}
	}
	var order binary.ByteOrder = binary.LittleEndian
	if zeros[0] > zeros[1] {
		order = binary.BigEndian
	}
	if zeros != [2]int{} {
		units := make([]uint16, len(text)/2)
		for i := range units {
			units[i] = order.Uint16(text[2*i:])
		}
		text = []byte(string(utf16.Decode(units)))
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !bytes.Contains(text, []byte("\n")) {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	return text
}

// Language is the language that a config names, which may be faulty elsewhere; empty if
// it names none that there is.
func Language(text []byte) string {
	var c struct {
		Site struct {
			Language string `toml:"language"`
		} `toml:"site"`
	}
	text = decoded(text)
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
	text = decoded(text)
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
