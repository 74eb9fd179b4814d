package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalaba/devices/vcard"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

const (
	frameBytes  = 192 // in an MP3 frame of the test clips: 64 kbit/s
	frameFrames = 1152
)

// site is a controller's folder: config, clips, cards and data.
type site struct {
	dir      string
	versions []version
	clips    map[playlist.ClipID]*clip
	cards    map[string]*vcard.Card // by output
	alsa     string                 // the cards' asound.conf
	seeds    [][]byte               // the clips of the sample course
	made     int                    // clips made so far; says which seed is next and how much softer
}

// clip is a clip with its sound.
type clip struct {
	id     playlist.ClipID
	name   string
	frames []int16
}

// version is one state of the config.
type version struct {
	programme *playlist.Programme
	since     time.Time // when it was written
	known     time.Time // when a controller said that it is in force or started with it; zero: never
}

const configHead = `[site]
name = "chaos"
area = "320924100201"
timezone = "Asia/Shanghai"
language = "en"
data_dir = "data"
clock = "battery"

[[output]]
name = "east"
device = "alsa:east"
residents = 100

[[output]]
name = "west"
device = "alsa:west"
residents = 50

[[playlist]]
name = "lessons"
clips = ["clips/lesson-*.mp3"]

[[playlist]]
name = "news"
clips = ["clips/news-*.mp3"]

[[playlist]]
name = "long"
clips = ["clips/long-*.mp3"]

[[playlist]]
name = "mixed"
clips = ["clips/mixed-*.mp3"]
order = "shuffle"
`

// configSlots overlap, so that slots of equal rank wait for each other and slots
// of a higher rank interrupt them.
const configSlots = `
[[slot]]
name = "lessons"
playlist = "lessons"
cron = "*/4 * * * * *"
window = "2s"

[[slot]]
name = "news"
playlist = "news"
cron = "1/12 * * * * *"
priority = 8
window = "1s"
missed = "make-good"

[[slot]]
name = "long"
playlist = "long"
cron = "5/30 * * * * *"
outputs = ["west"]
priority = 6
window = "3s"
missed = "late"

[[slot]]
name = "pair"
playlist = "mixed"
cron = "6/20 * * * * *"
outputs = ["east"]
count = 2
priority = 6
window = "4s"
after = "drop"

[[slot]]
name = "again"
playlist = "mixed"
cron = "12/20 * * * * *"
outputs = ["west"]
priority = 7
window = "2s"
missed = "make-good"
after = "restart"
`

// newSite makes a folder with clips, cards and a first config.
func newSite(root, dir string) (*site, error) {
	s := &site{dir: dir, clips: map[playlist.ClipID]*clip{}, cards: map[string]*vcard.Card{}}
	for n := range 3 {
		b, err := os.ReadFile(filepath.Join(root, "data", "course", "testdata", fmt.Sprintf("clip%d.mp3", n+1)))
		if err != nil {
			return nil, err
		}
		s.seeds = append(s.seeds, b)
	}
	if err := os.Mkdir(filepath.Join(dir, "clips"), 0o755); err != nil {
		return nil, err
	}
	for n := range 6 {
		if err := s.addClip(fmt.Sprintf("lesson-%02d", n+1), 50+4*n); err != nil {
			return nil, err
		}
	}
	for n := range 3 {
		if err := s.addClip(fmt.Sprintf("news-%d", n+1), 150); err != nil {
			return nil, err
		}
	}
	for n := range 4 {
		if err := s.addClip(fmt.Sprintf("mixed-%d", n+1), 45+5*n); err != nil {
			return nil, err
		}
	}
	for n := range 2 {
		if err := s.addClip(fmt.Sprintf("long-%d", n+1), 500); err != nil {
			return nil, err
		}
	}
	lib, err := vcard.Build(dir)
	if err != nil {
		return nil, err
	}
	var cards []*vcard.Card
	s.alsa, cards, err = vcard.Make(lib, dir, vcard.Spec{Name: "east"}, vcard.Spec{Name: "west"})
	if err != nil {
		return nil, err
	}
	for _, c := range cards {
		s.cards[c.Name] = c
	}
	return s, s.setConfig(configSlots)
}

func (s *site) config() string { return filepath.Join(s.dir, "dalaba.toml") }
func (s *site) data() string   { return filepath.Join(s.dir, "data") }

// addClip makes a clip of so many MP3 frames that differs from every other: one
// of the sample course's clips, or all of them in a row, softer than in any
// earlier clip.
func (s *site) addClip(name string, frames int) error {
	first := s.made % len(s.seeds)
	text := slices.Clone(s.seeds[first])
	if s.made++; frames*frameBytes > len(text) {
		s.made = (s.made + 2*len(s.seeds) - 2) / len(s.seeds) * len(s.seeds)
		text = bytes.Join(s.seeds, nil)
	}
	text = soften(text[:frames*frameBytes], (s.made-1)/len(s.seeds))
	path := filepath.Join(s.dir, "clips", name+".mp3")
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// soften makes an MP3 softer by 1.5 dB a step: it lowers the global gain of each
// granule in the side information of mono MPEG-1 layer III.
func soften(text []byte, steps int) []byte {
	for at := 0; at+frameBytes <= len(text); at += frameBytes {
		for _, bit := range []int{39, 98} {
			gain := 0
			for i := range 8 {
				b := bit + i
				gain = gain<<1 | int(text[at+4+b/8]>>(7-b%8)&1)
			}
			if gain = gain - steps; gain < 1 {
				continue
			}
			for i := range 8 {
				b, mask := bit+i, byte(0)
				mask = 1 << (7 - b%8)
				text[at+4+b/8] &^= mask
				if gain>>(7-i)&1 == 1 {
					text[at+4+b/8] |= mask
				}
			}
		}
	}
	return text
}

// setConfig writes a config and adds it to the versions.
func (s *site) setConfig(slots string) error {
	text := []byte(configHead + slots)
	cfg, problems := config.Read(s.config(), text, s)
	if config.Refused(problems) {
		return fmt.Errorf("the config is refused: %v", problems)
	}
	if err := os.WriteFile(s.config()+".new", text, 0o600); err != nil {
		return err
	}
	s.versions = append(s.versions, version{programme: &cfg.Programme, since: time.Now()})
	return os.Rename(s.config()+".new", s.config())
}

// change writes a config with one more slot, which is due at other seconds than
// in the config before.
func (s *site) change() error {
	return s.setConfig(configSlots + fmt.Sprintf(`
[[slot]]
name = "extra"
playlist = "lessons"
cron = "%d/6 * * * * *"
outputs = ["west"]
priority = 6
window = "1s"
`, len(s.versions)%6))
}

func (s *site) latest() int { return len(s.versions) - 1 }

// The site is also the config.Library with which its config is read.

func (s *site) Clip(playlist.ClipID) (playlist.Clip, bool) { return playlist.Clip{}, false }
func (s *site) Series(string) []playlist.Clip              { return nil }

func (s *site) Glob(pattern string) ([]playlist.Clip, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var all []playlist.Clip
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		info, err := player.Scan(f)
		if cerr := f.Close(); err != nil || cerr != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".mp3")
		all = append(all, playlist.Clip{ID: info.ID, Title: name, Frames: info.Frames, Size: info.Size})
		if s.clips[info.ID] == nil {
			c := &clip{id: info.ID, name: name}
			if c.frames, err = decode(path); err != nil {
				return nil, err
			}
			s.clips[info.ID] = c
		}
	}
	return all, nil
}
