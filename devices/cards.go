//go:build cgo && !noalsa

package devices

/*
#include <alsa/asoundlib.h>
#include <stdlib.h>

static int card_names(snd_ctl_t *h, char *id, char *name, size_t size)
{
	snd_ctl_card_info_t *info;
	int err;
	snd_ctl_card_info_alloca(&info);
	if ((err = snd_ctl_card_info(h, info)) < 0)
		return err;
	snprintf(id, size, "%s", snd_ctl_card_info_get_id(info));
	snprintf(name, size, "%s", snd_ctl_card_info_get_longname(info));
	return 0;
}

static int plays(snd_ctl_t *h, int device, char *name, size_t size)
{
	snd_pcm_info_t *info;
	int err;
	snd_pcm_info_alloca(&info);
	snd_pcm_info_set_device(info, device);
	snd_pcm_info_set_stream(info, SND_PCM_STREAM_PLAYBACK);
	if ((err = snd_ctl_pcm_info(h, info)) < 0)
		return err;
	snprintf(name, size, "%s", snd_pcm_info_get_name(info));
	return 0;
}
*/
import "C"

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"dalaba/playlist/say"
)

// List returns what this machine can play on; [ErrNoALSA] if this build has no
// ALSA.
func List() (Listing, error) {
	cards, err := realCards()
	if err != nil {
		return Listing{}, err
	}
	other, err := hints()
	return Listing{cards, other}, err
}

func firstCard() (string, error) {
	cards, err := realCards()
	if err != nil {
		return "", err
	}
	return first(cards)
}

func first(cards []Card) (string, error) {
	for _, c := range cards {
		if len(c.PCMs) > 0 {
			return c.PCMs[0].Name, nil
		}
	}
	return "", fault{ErrNoCard, say.M("device.auto_none")}
}

// realCards returns the kernel's cards that can play, by index.
func realCards() ([]Card, error) {
	quiet()
	var cards []Card
	for index := C.int(-1); ; {
		if err := errno(C.snd_card_next(&index)); err != nil {
			return nil, say.M("device.cards_failed", err)
		}
		if index < 0 {
			return cards, nil
		}
		if c := realCard(index); len(c.PCMs) > 0 {
			cards = append(cards, c)
		}
	}
}

func realCard(index C.int) Card {
	c := Card{Index: int(index)}
	name := fmt.Sprintf("hw:%d", c.Index)
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var h *C.snd_ctl_t
	// Leave out a card that is unplugged while we look.
	if C.snd_ctl_open(&h, n, C.SND_CTL_NONBLOCK) < 0 {
		return c
	}
	defer C.snd_ctl_close(h)
	var id, text [128]C.char
	if C.card_names(h, &id[0], &text[0], C.size_t(len(id))) < 0 {
		return c
	}
	c.ID, c.Name = C.GoString(&id[0]), C.GoString(&text[0])
	for dev := C.int(-1); C.snd_ctl_pcm_next_device(h, &dev) == 0 && dev >= 0; {
		if C.plays(h, dev, &text[0], C.size_t(len(text))) < 0 {
			continue
		}
		pcm := "plughw:CARD=" + c.ID
		if dev > 0 {
			pcm += fmt.Sprintf(",DEV=%d", int(dev))
		}
		c.PCMs = append(c.PCMs, PCM{pcm, C.GoString(&text[0]), holdersIn(os.DirFS("/proc"), c.ID, int(dev))})
	}
	c.Controls, _ = controls(name)
	return c
}

// hints returns the PCMs that the ALSA configuration lists and that belong to
// no card.
func hints() ([]PCM, error) {
	iface := C.CString("pcm")
	defer C.free(unsafe.Pointer(iface))
	var list *unsafe.Pointer
	if err := errno(C.snd_device_name_hint(-1, iface, &list)); err != nil {
		return nil, say.M("device.cards_failed", err)
	}
	defer C.snd_device_name_free_hint(list)
	var all []PCM
	for p := list; *p != nil; p = (*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(p), unsafe.Sizeof(*p))) {
		name, way := hint(*p, "NAME"), hint(*p, "IOID")
		if way == "Input" || strings.Contains(name, "CARD=") {
			continue
		}
		all = append(all, PCM{Name: name, Description: strings.ReplaceAll(hint(*p, "DESC"), "\n", ", ")})
	}
	return all, nil
}

func hint(h unsafe.Pointer, key string) string {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	v := C.snd_device_name_get_hint(h, k)
	defer C.free(unsafe.Pointer(v))
	if v == nil {
		return ""
	}
	return C.GoString(v)
}
