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

// Describe says in a sentence what an output drives, without opening it.
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
	Volume bool   `json:"volume"` // whether it has one

	// What it stands at, where it tells dB.
	Scale bool    `json:"scale"`
	MinDB float64 `json:"min_db"`
	MaxDB float64 `json:"max_db"`
	DB    float64 `json:"db"`

	Switch bool `json:"switch"` // whether it can mute
	On     bool `json:"on"`     // false: muted, where it has a switch
}

// Holder is a program that holds a card.
type Holder struct {
	PID  int    `json:"pid"`
	Name string `json:"name,omitempty"`
}

// PCM is what an output's device can name.
type PCM struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	HeldBy      []Holder `json:"held_by,omitempty"` // empty: free, as far as the kernel tells
}

// Card is a sound card that can play.
type Card struct {
	ID       string    `json:"id"` // stable: it stays when the index does not
	Index    int       `json:"index"`
	Name     string    `json:"name"`
	PCMs     []PCM     `json:"pcms"`
	Controls []Control `json:"controls"`
}

// Listing is all that this machine can play on through ALSA.
type Listing struct {
	Cards []Card `json:"cards"`
	Other []PCM  `json:"other"` // PCMs that the ALSA configuration defines and shows, of no one card
}

// Look is what stands behind an output that plays on a card.
type Look struct {
	Device string   // the PCM: the first card's, where the output says "auto"
	Mixer  string   // as "amixer -D" takes it
	Level  *Control // what takes level_db; nil: nothing
	Muted  []string // controls on the sound's way that are muted
	HeldBy []Holder
}

// Inspect looks at the card of an output and changes nothing, not even its
// mixer. Where try is set it opens the card for a moment and answers what
// [Open] would.
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

// holdersIn reads from proc who holds a card's playback device; a negative
// device is all of them.
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

// processOf is the process that a thread, as the sound driver names it,
// belongs to.
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

// holders is who holds the card that a PCM names.
func holders(pcm string) []Holder {
	card, device, ok := cardOf(pcm)
	if !ok {
		return nil
	}
	return holdersIn(os.DirFS("/proc"), card, device)
}

// cardOf takes card and device out of a name such as "plughw:CARD=Device,DEV=0".
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
