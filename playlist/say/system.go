package say

import (
	"io/fs"
	"slices"
	"strings"
)

// systemErrors are texts of the operating system and of the standard library that an
// error may end in. What they mean is under system.TEXT.
var systemErrors = []string{
	"no space left on device", "permission denied", "operation not permitted", "no such file or directory", "no such device or address", "no such device",
	"device or resource busy", "input/output error", "read-only file system", "connection refused", "connection reset by peer", "i/o timeout",
	"context deadline exceeded", "network is unreachable", "no route to host", "no such host", "broken pipe", "file exists", "is a directory",
	"not a directory", "too many open files", "cannot allocate memory", "unexpected EOF",
}

// System returns the text of an error in Chinese as far as the operating system has made
// it.
func System(text string) string {
	for _, e := range systemErrors {
		if before, ok := strings.CutSuffix(text, e); ok {
			if about, ok := strings.CutSuffix(before, ": "); ok {
				before = about + "："
			}
			return before + M("system."+e).In(Chinese)
		}
	}
	return text
}

// inChinese is what [System] makes of an error. What was being done to a file does not
// matter to people.
func inChinese(err error) string {
	if e, ok := err.(*fs.PathError); ok {
		return System(e.Path + ": " + e.Err.Error())
	}
	return System(err.Error())
}

// beside is an error as a sentence ends in it that has said other things before: a file
// is named once.
func beside(err error, before []any) error {
	if e, ok := err.(*fs.PathError); ok && slices.Contains(before, any(e.Path)) {
		return e.Err
	}
	return err
}
