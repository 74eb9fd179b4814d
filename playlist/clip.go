package playlist

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
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

// SameLesson reports whether two clips are the same lesson: another recording of
// it, or a corrected one. Clips of a series in one language are if they have the same
// issue number, or if neither has one and they have the same title; but not if they are
// parts of an issue: （上）, （下）.
func (c Clip) SameLesson(d Clip) bool {
	if c.Series == "" || c.Series != d.Series || c.Issue != d.Issue || c.Language != d.Language && c.Language != "" && d.Language != "" {
		return false
	}
	if c.Issue == 0 {
		return strings.EqualFold(c.Title, d.Title)
	}
	p, q := partIn(c.Title), partIn(d.Title)
	return p == q || p == "" || q == ""
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
