package devices

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Describe returns a sentence that says what an output drives, without opening
// it.
func Describe(out playlist.Output) say.Message {
	kind, rest, _ := strings.Cut(out.Device, ":")
	switch {
	case kind == "wav":
		return say.M("device.is_wav", rest)
	case kind == "null":
		return say.M("device.is_null")
	case out.Device == "auto":
		name, err := firstCard()
		if err != nil {
			return say.M("device.is_auto_none", err)
		}
		return say.M("device.is_auto", name)
	case out.Device == "":
		return say.M("device.unnamed", out.Name)
	}
	if by := holders(out.Device); len(by) > 0 {
		return say.M("device.is_held", out.Device, by[0].Name, by[0].PID)
	}
	return say.M("device.is_card", out.Device)
}

// Control is one playback control of a card's mixer.
type Control struct {
	Name   string `json:"name"`
	Volume bool   `json:"volume"` // whether it has a volume

	// The present level, if the control has a dB scale.
	Scale bool    `json:"scale"`
	MinDB float64 `json:"min_db"`
	MaxDB float64 `json:"max_db"`
	DB    float64 `json:"db"`

	Switch bool `json:"switch"` // whether it can mute
	On     bool `json:"on"`     // false: muted, if it has a switch
}

// Holder is a program that has a card open.
type Holder struct {
	PID  int    `json:"pid"`
	Name string `json:"name,omitempty"`
}

// PCM is a name that an output's device can have.
type PCM struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	HeldBy      []Holder `json:"held_by,omitempty"` // empty: free, as far as the kernel shows
}

// Card is a sound card that can play.
type Card struct {
	ID       string    `json:"id"` // stable, even if the index changes
	Index    int       `json:"index"`
	Name     string    `json:"name"`
	PCMs     []PCM     `json:"pcms"`
	Controls []Control `json:"controls"`
}

// Listing is everything that this machine can play on through ALSA.
type Listing struct {
	Cards []Card `json:"cards"`
	Other []PCM  `json:"other"` // PCMs that the ALSA configuration lists and that belong to no card
}

// Look is the card and mixer behind an output.
type Look struct {
	Device string   // the PCM: that of the first card, if the output's device is "auto"
	Mixer  string   // as an argument of "amixer -D"
	Level  *Control // the control that level_db sets; nil: none
	Muted  []string // controls between PCM and loudspeaker that are muted
	HeldBy []Holder
}

// Inspect reads the state of an output's card and changes nothing, not even its
// mixer. If try is set it opens the card for a moment and returns the error
// that [Open] would.
func Inspect(device string, try bool) (Look, error) {
	if device == "auto" {
		name, err := firstCard()
		if err != nil {
			return Look{Device: device}, err
		}
		device = name
	}
	return inspect(device, try)
}

// holdersIn reads from proc which programs have a card's playback device open;
// a negative device means all of them.
func holdersIn(proc fs.FS, card string, device int) []Holder {
	dir := path.Join("asound", card)
	if _, err := strconv.Atoi(card); err == nil {
		dir = "asound/card" + card
	}
	sub := "*"
	if device >= 0 {
		sub = strconv.Itoa(device)
	}
	files, err := fs.Glob(proc, fmt.Sprintf("%s/pcm%sp/sub*/status", dir, sub))
	if err != nil {
		return nil
	}
	var all []Holder
	for _, f := range files {
		text, err := fs.ReadFile(proc, f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			if strings.TrimSpace(key) != "owner_pid" {
				continue
			}
			if thread := strings.TrimSpace(value); thread != "" && thread != "0" {
				all = append(all, processOf(proc, thread))
			}
		}
	}
	return all
}

// processOf returns the process that a thread belongs to; the sound driver
// names the thread.
func processOf(proc fs.FS, thread string) Holder {
	var h Holder
	h.PID, _ = strconv.Atoi(thread)
	text, _ := fs.ReadFile(proc, path.Join(thread, "status"))
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			h.Name = value
		case "Tgid":
			if pid, err := strconv.Atoi(value); err == nil {
				h.PID = pid
			}
		}
	}
	return h
}

// holders returns the programs that have the card of a PCM open.
func holders(pcm string) []Holder {
	card, device, ok := cardOf(pcm)
	if !ok {
		return nil
	}
	return holdersIn(os.DirFS("/proc"), card, device)
}

// cardOf parses card and device from a name such as "plughw:CARD=Device,DEV=0".
func cardOf(pcm string) (card string, device int, ok bool) {
	kind, args, found := strings.Cut(pcm, ":")
	if !found || kind == "plug" {
		return "", 0, false
	}
	device = -1
	for i, arg := range strings.Split(args, ",") {
		key, value, named := strings.Cut(arg, "=")
		if !named {
			key, value = []string{"CARD", "DEV", "SUBDEV"}[min(i, 2)], arg
		}
		switch key {
		case "CARD":
			card = value
		case "DEV":
			if n, err := strconv.Atoi(value); err == nil {
				device = n
			}
		}
	}
	return card, device, card != ""
}
