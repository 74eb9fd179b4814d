package playlist

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Rate is the sample rate of every clip and every output, in frames a second.
const Rate = 48000

// FramesIn is how many frames sound in d, rounded to the nearest.
func FramesIn(d time.Duration) int64 {
	return (int64(d)*Rate + int64(time.Second)/2) / int64(time.Second)
}

// Length is how long n frames sound.
func Length(n int64) time.Duration {
	return time.Duration(n/Rate)*time.Second + time.Duration(n%Rate)*time.Second/Rate
}

// ClipID names a clip by the SHA-256 of its bytes, in lower-case hex.
type ClipID string

// ClipIDOf names the clip whose bytes r holds, to its end.
func ClipIDOf(r io.Reader) (ClipID, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return ClipID(hex.EncodeToString(hash.Sum(nil))), nil
}

// ParseClipID accepts exactly 64 hex digits of either case.
func ParseClipID(s string) (ClipID, error) {
	if !IsClipID(s) {
		return "", fmt.Errorf("%w: %q is no clip ID: 64 hex digits wanted", ErrInvalid, s)
	}
	return ClipID(strings.ToLower(s)), nil
}

// IsClipID reports whether s has the shape of a clip ID.
func IsClipID(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, r := range s {
		if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return false
		}
	}
	return true
}

// Short is the first 12 digits, for people.
func (id ClipID) Short() string {
	if len(id) < 12 {
		return string(id)
	}
	return string(id[:12])
}

// Clip is one piece of sound that is fit to air.
type Clip struct {
	ID       ClipID   `json:"id"`
	Title    string   `json:"title"`
	Series   string   `json:"series,omitempty"`
	Issue    int      `json:"issue,omitempty"`    // number within the series; 0: none
	Language string   `json:"language,omitempty"` // BCP 47, such as zh-CN
	Text     string   `json:"text,omitempty"`     // the words spoken, if known
	Tags     []string `json:"tags,omitempty"`
	Frames   int64    `json:"frames"` // as the player's decoder yields them, at Rate
	Size     int64    `json:"size"`   // bytes
}

// Number is the clip's issue number or, if it was given none, the one that its title says;
// 0: none. Old libraries have it in titles only.
func (c Clip) Number() int {
	if c.Issue > 0 {
		return c.Issue
	}
	return ReadName(c.Title).Issue
}

// SameLesson reports whether two clips are the same lesson: another recording of
// it, or a corrected one. Clips of a series in one language are if they have the same
// number and titles that are alike, or no number and the same title.
func (c Clip) SameLesson(d Clip) bool {
	if c.Number() == 0 && d.Number() == 0 {
		return c.sameSeries(d) && strings.EqualFold(c.Title, d.Title)
	}
	return c.SameNumber(d) && !parts(letters(c.Title), letters(d.Title)) && alike(wording(c.Title), wording(d.Title))
}

// SameNumber reports whether two clips of a series in one language have the same issue
// number and are not two parts of that issue (上, 下).
func (c Clip) SameNumber(d Clip) bool {
	return c.sameSeries(d) && c.Number() > 0 && c.Number() == d.Number() && Part(c.Title) == Part(d.Title)
}

func (c Clip) sameSeries(d Clip) bool {
	return c.Series != "" && c.Series == d.Series && (c.Language == d.Language || c.Language == "" || d.Language == "")
}

// wording is a title without its issue number; empty if that is all it says.
func wording(title string) string {
	named := ReadName(title)
	if SaysIssue(named.Title, named.Issue) {
		return ""
	}
	return named.Title
}

// alike reports whether one title may be the other, reworded: one is in the other, or
// at least half of the longer one's letters stand in the other in the same order.
// Spaces and punctuation do not count. Titles that differ in one figure or mark of order
// only (乙课上, 乙课下) are those of two parts.
func alike(a, b string) bool {
	x, y := letters(a), letters(b)
	if parts(x, y) {
		return false
	}
	if strings.Contains(string(x), string(y)) || strings.Contains(string(y), string(x)) {
		return true
	}
	row := make([]int, len(y)+1) // of the longest common subsequence
	for _, r := range x {
		before := 0
		for j, q := range y {
			above := row[j+1]
			if r == q {
				row[j+1] = before + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			before = above
		}
	}
	return 2*row[len(y)] >= max(len(x), len(y))
}

// letters are those of a title, without spaces and punctuation.
func letters(title string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, title))
}

// parts reports whether two titles differ in one letter only, which is a figure or a mark
// of order.
func parts(x, y []rune) bool {
	const marks = "上中下前后左右一二三四五六七八九十甲乙丙丁"
	mark := func(r rune) bool {
		return unicode.IsDigit(r) || r >= 'a' && r <= 'h' || strings.ContainsRune(marks, r)
	}
	if len(x) != len(y) {
		return false
	}
	differ := 0
	for i := range x {
		if x[i] != y[i] {
			if differ++; !mark(x[i]) || !mark(y[i]) {
				return false
			}
		}
	}
	return differ == 1
}

// Shelved is a clip and when it came into the library.
type Shelved struct {
	Clip
	Added time.Time
}

// ClipSource is a file that was handed in to become a clip.
type ClipSource struct {
	Path   string // absolute
	Size   int64
	MTime  time.Time
	SHA256 string // lower-case hex; may be empty when only asking
	Recipe string // names the ingest settings: another recipe makes another clip
}

// Length is how long the clip sounds.
func (c Clip) Length() time.Duration { return Length(c.Frames) }

// ErrNoClip means that a clip is not known or its file is missing: another may air
// instead.
var ErrNoClip = errors.New("clip not here")
