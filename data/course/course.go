// Package course carries the sample course: 31 issues of 健康微课堂, a Health
// Micro-Classroom for a village loudspeaker in winter.
//
// The texts are written to be heard: no digits, brackets or Latin letters that
// a speech program could read wrongly, and 105 to 120 Chinese characters each
// without the punctuation, about half a minute. They are general public-health
// knowledge and not medical advice for any single person.
//
// Three spoken clips for tests are in testdata, described by clips.toml there.
package course

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

//go:embed *.toml
var files embed.FS

// Lesson is one issue of a course as it is to be spoken.
type Lesson struct {
	Title    string `toml:"title"`
	Series   string `toml:"series"`
	Issue    int    `toml:"issue"`    // from 1, each number once
	Language string `toml:"language"` // BCP 47, such as zh-CN
	Text     string `toml:"text"`     // one paragraph, no line breaks
}

// Lessons returns the course in issue order. The lessons are part of the
// program, so an error means that it was built from a broken file, which the
// error names.
func Lessons() ([]Lesson, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	lessons := make([]Lesson, 0, len(entries))
	for _, e := range entries {
		b, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		var l Lesson
		if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&l); err != nil {
			return nil, fmt.Errorf("lesson %s: %w", e.Name(), err)
		}
		lessons = append(lessons, l)
	}
	slices.SortFunc(lessons, func(a, b Lesson) int { return cmp.Compare(a.Issue, b.Issue) })
	return lessons, nil
}
