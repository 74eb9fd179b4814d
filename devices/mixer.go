//go:build cgo && !noalsa

package devices

/*
#include <alsa/asoundlib.h>
#include <stdlib.h>
*/
import "C"

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"unsafe"

	"dalaba/playlist/say"
)

// chain names the controls between a PCM and the loudspeaker; the first one
// that the card has is set to the level.
var chain = []string{
	"Master", "PCM", "Speaker", "Headphone", "Line Out", "Front", "Digital", "DAC", "Analogue", "Headset", "HDMI", "IEC958",
}

// mixerOf returns the name of the mixer that belongs to a PCM.
func mixerOf(pcm string) string {
	kind, args, _ := strings.Cut(pcm, ":")
	first, _, _ := strings.Cut(strings.Trim(args, `'"`), ",")
	switch kind {
	case "plug":
		return first
	case "hw", "plughw", "sysdefault", "default", "front", "hdmi", "iec958", "dmix":
		if first != "" {
			return "hw:" + strings.TrimPrefix(first, "CARD=")
		}
	}
	return pcm
}

// mix opens a mixer, calls f with each of its playback controls and closes it.
func mix(name string, f func(e *C.snd_mixer_elem_t, c Control) error) error {
	quiet()
	var m *C.snd_mixer_t
	if err := errno(C.snd_mixer_open(&m, 0)); err != nil {
		return err
	}
	defer C.snd_mixer_close(m)
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	if err := errno(C.snd_mixer_attach(m, n)); err != nil {
		return err
	}
	if err := errno(C.snd_mixer_selem_register(m, nil, nil)); err != nil {
		return err
	}
	if err := errno(C.snd_mixer_load(m)); err != nil {
		return err
	}
	for e := C.snd_mixer_first_elem(m); e != nil; e = C.snd_mixer_elem_next(e) {
		if C.snd_mixer_selem_is_active(e) == 0 {
			continue
		}
		if c := readControl(e); c.Volume || c.Switch {
			if err := f(e, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func readControl(e *C.snd_mixer_elem_t) Control {
	c := Control{Name: C.GoString(C.snd_mixer_selem_get_name(e))}
	c.Volume = C.snd_mixer_selem_has_playback_volume(e) != 0
	c.Switch = C.snd_mixer_selem_has_playback_switch(e) != 0
	var lo, hi, at C.long
	if c.Volume && C.snd_mixer_selem_get_playback_dB_range(e, &lo, &hi) == 0 && lo < hi &&
		C.snd_mixer_selem_get_playback_dB(e, C.SND_MIXER_SCHN_MONO, &at) == 0 {
		c.Scale, c.MinDB, c.MaxDB, c.DB = true, float64(lo)/100, float64(hi)/100, float64(at)/100
	}
	var on C.int
	if c.Switch && C.snd_mixer_selem_get_playback_switch(e, C.SND_MIXER_SCHN_MONO, &on) == 0 {
		c.On = on != 0
	}
	return c
}

func controls(mixer string) ([]Control, error) {
	var all []Control
	err := mix(mixer, func(_ *C.snd_mixer_elem_t, c Control) error {
		all = append(all, c)
		return nil
	})
	return all, err
}

// way returns the controls that the sound passes, and the index in order of the
// one to set to the level; -1 if none has a volume. Order is nil if the card
// has several volumes and none is in the chain.
func way(all []Control) (order []string, taker int) {
	taker = slices.IndexFunc(chain, func(name string) bool {
		return slices.ContainsFunc(all, func(c Control) bool { return c.Name == name && c.Volume })
	})
	if taker >= 0 {
		return chain, taker
	}
	order = chain
	for _, c := range all {
		if c.Volume && taker >= 0 {
			return nil, -1
		}
		if c.Volume { // a single volume with another name
			order, taker = append(slices.Clone(chain), c.Name), len(chain)
		}
	}
	return order, taker
}

// inspect reads the mixer of a PCM and, if try is set, whether the PCM opens.
func inspect(name string, try bool) (Look, error) {
	l := Look{Device: name, Mixer: mixerOf(name), HeldBy: holders(name)}
	all, err := controls(l.Mixer)
	if err != nil {
		all = nil // a card without a mixer
	}
	order, taker := way(all)
	for i, n := range order {
		for _, c := range all {
			if c.Name == n && i == taker {
				l.Level = &c
			}
			if c.Name == n && c.Switch && !c.On {
				l.Muted = append(l.Muted, n)
			}
		}
	}
	if !try {
		return l, nil
	}
	p, err := openPCM(name)
	if err != nil {
		return l, cardFault(name, err)
	}
	return l, p.close()
}

// near is how many dB a card's steps may miss the wanted level by.
const near = 1.5

// setLevel unmutes a card and sets its level: the first control of the chain to
// the level and the rest to 0 dB. It reports whether the card then has that
// level; if the card cannot reach it, it is left at 0 dB and the error says
// what to do.
func setLevel(mixer string, db float64, log *slog.Logger) (bool, error) {
	all, err := controls(mixer)
	if err != nil || len(all) == 0 {
		log.Debug("no mixer", "mixer", mixer, "err", err)
		return false, nil
	}
	order, taker := way(all)
	if order == nil {
		return false, nil
	}
	var got *Control
	err = mix(mixer, func(e *C.snd_mixer_elem_t, c Control) error {
		place := slices.Index(order, c.Name)
		if place < 0 {
			return nil
		}
		if c.Switch {
			if err := errno(C.snd_mixer_selem_set_playback_switch_all(e, 1)); err != nil {
				return say.M("device.mixer_failed", mixer, c.Name, err)
			}
		}
		want := 0.0
		if place == taker {
			want = db
		}
		if c.Scale && place == taker && (db < c.MinDB-near || db > c.MaxDB+near) {
			want = 0
		}
		if c.Scale {
			want = max(c.MinDB, min(c.MaxDB, want))
			hundredths := C.long(math.Round(want * 100))
			if err := errno(C.snd_mixer_selem_set_playback_dB_all(e, hundredths, -1)); err != nil {
				return say.M("device.mixer_failed", mixer, c.Name, err)
			}
		}
		c = readControl(e)
		if c.Switch && !c.On {
			return say.M("device.mixer_muted", mixer, c.Name)
		}
		if place == taker {
			got = &c
		}
		return nil
	})
	switch {
	case err != nil:
		return false, err
	case got == nil:
		return false, nil
	case !got.Scale:
		return false, say.M("device.mixer_no_scale", mixer, got.Name)
	case math.Abs(got.DB-db) > near:
		return false, say.M("device.mixer_range", mixer, got.Name, got.MinDB, got.MaxDB, db)
	}
	log.Info("level set", "control", got.Name, "db", got.DB)
	return true, nil
}
