//go:build cgo && !noalsa

package devices_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"dalaba/devices"
	"dalaba/devices/vcard"
	"dalaba/playlist"
)

var (
	scratch string
	plugin  = sync.OnceValues(func() (string, error) { return vcard.Build(scratch) })
)

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "vcard"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// rack makes virtual cards and lets libasound find them.
func rack(t *testing.T, specs ...vcard.Spec) []*vcard.Card {
	t.Helper()
	lib, err := plugin()
	must(t, err)
	config, cards, err := vcard.Make(lib, t.TempDir(), specs...)
	must(t, err)
	t.Setenv("ALSA_CONFIG_PATH", config)
	return cards
}

func heard(t *testing.T, c *vcard.Card) []int16 {
	t.Helper()
	f, err := c.Heard()
	must(t, err)
	return f
}

func TestCard(t *testing.T) {
	for _, c := range []struct {
		pcm  string
		spec vcard.Spec
	}{
		{"stereo", vcard.Spec{Name: "stereo"}},
		{"mono", vcard.Spec{Name: "mono", Channels: 1}},
		{"plug:stereo", vcard.Spec{Name: "stereo"}},
	} {
		suite(t, func(t *testing.T, name string, f func(*testing.T, rig)) {
			t.Run(c.pcm+" "+name, func(t *testing.T) {
				card := rack(t, c.spec)[0]
				f(t, rig{
					open:  func(t *testing.T) devices.Device { return open(t, c.pcm) },
					heard: func(t *testing.T) []int16 { return heard(t, card) },
					slack: 2 * devices.Period,
				})
			})
		})
	}
}

// A position is worth what it foretells: the instant at which a frame will
// sound, against when the card says that it did.
func TestCardForetellsWhenAFrameSounds(t *testing.T) {
	type guess struct {
		frame int64
		at    time.Time
	}
	steadily(t, func(g *gaps) {
		card := rack(t, vcard.Spec{Name: "left"})[0]
		d := open(t, "left")
		defer shut(t, d)
		var guesses []guess
		written := int64(0)
		for range 100 {
			must(t, d.Write(ramp(0, devices.Period)))
			p := position(t, d)
			g.look()
			guesses = append(guesses, guess{written, p.At.Add(playlist.Length(written - p.Consumed))})
			written += devices.Period
		}
		if g.stalled() {
			return
		}
		await(t, d, "the end", func(p playlist.Position) bool { return p.Underruns > 0 && p.Consumed == written })
		var off []time.Duration
		for _, g := range guesses[1:] { // the first period is queued before the card runs
			at, ok, err := card.When(g.frame)
			must(t, err)
			if !ok {
				t.Fatalf("frame %d never sounded", g.frame)
			}
			off = append(off, at.Sub(g.at).Abs())
		}
		slices.Sort(off)
		t.Logf("off by %v at the median, %v at worst", off[len(off)/2], off[len(off)-1])
		if off[len(off)/2] > time.Millisecond {
			t.Errorf("instants foretold are off by %v", off)
		}
	})
}

func TestCardIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*vcard.Card) error
		want error
	}{
		{"by unplugging", (*vcard.Card).Unplug, devices.ErrNoCard},
		{"by a stall", (*vcard.Card).Stall, devices.ErrStalled},
		{"by an error of its driver", (*vcard.Card).Fail, syscall.EIO},
		{"by a sleep that does not end", (*vcard.Card).Suspend, devices.ErrStalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			card := rack(t, vcard.Spec{Name: "left"})[0]
			d := open(t, "left")
			must(t, d.Write(ramp(0, devices.Ring)))
			last := await(t, d, "sound", func(p playlist.Position) bool { return p.Consumed > 0 })
			must(t, c.harm(card))
			harmed := time.Now()
			var err error
			for n := devices.Ring; err == nil; n += devices.Period {
				if n > 10*playlist.Rate {
					t.Fatal("the loss goes unnoticed")
				}
				if p, perr := d.Position(); perr == nil {
					last = p
				}
				err = d.Write(ramp(n, devices.Period))
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if took := time.Since(harmed); took > 20*devices.StallLimit {
				t.Errorf("noticed after %v", took)
			}
			if again := d.Write(ramp(0, 1)); !errors.Is(again, c.want) {
				t.Errorf("a lost device answers %v", again)
			}
			must(t, d.Close())

			if c.want == devices.ErrNoCard {
				_, err = devices.Open(t.Context(), playlist.Output{Device: "left"}, devices.Options{})
				if !errors.Is(err, devices.ErrNoCard) {
					t.Errorf("opening an unplugged card: %v", err)
				}
			}
			must(t, card.Plug())
			got := heard(t, card)
			if int64(len(got)) < last.Consumed {
				t.Errorf("heard %d frames, but told of %d", len(got), last.Consumed)
			}
			d = open(t, "left")
			defer shut(t, d)
			must(t, d.Write(ramp(7000, devices.Ring)))
			await(t, d, "sound again", func(p playlist.Position) bool { return p.Consumed >= devices.Period })
			same(t, heard(t, card)[len(got):][:devices.Period], ramp(7000, devices.Period))
		})
	}
}

func TestACardThatWasSuspendedGoesOn(t *testing.T) {
	card := rack(t, vcard.Spec{Name: "left"})[0]
	d := open(t, "left")
	defer shut(t, d)
	must(t, d.Write(ramp(0, devices.Ring)))
	await(t, d, "sound", func(p playlist.Position) bool { return p.Consumed > 0 })
	must(t, card.Suspend())
	time.AfterFunc(100*time.Millisecond, func() { _ = card.Plug() })
	must(t, d.Write(ramp(devices.Ring, devices.Ring)))
	await(t, d, "all of it", func(p playlist.Position) bool { return p.Consumed >= 2*devices.Ring-devices.Period })
	same(t, heard(t, card)[:2*devices.Ring-devices.Period], ramp(0, 2*devices.Ring-devices.Period))
}

func TestCardTakenByAnother(t *testing.T) {
	card := rack(t, vcard.Spec{Name: "left"})[0]
	d := open(t, "left")
	try := func() error {
		d, err := devices.Open(t.Context(), playlist.Output{Device: "left"}, devices.Options{})
		if err == nil {
			shut(t, d)
		}
		return err
	}
	if err := try(); !errors.Is(err, devices.ErrBusy) {
		t.Errorf("a card in use: %v", err)
	}
	must(t, d.Close())
	must(t, try())
	must(t, card.Occupy())
	if err := try(); !errors.Is(err, devices.ErrBusy) {
		t.Errorf("a busy card: %v", err)
	}
	must(t, card.Plug())
	must(t, try())
}

func TestNoSuchCard(t *testing.T) {
	rack(t)
	for _, name := range []string{"plughw:CARD=Nowhere", "hw:7", "nonsense"} {
		_, err := devices.Open(t.Context(), playlist.Output{Device: name}, devices.Options{})
		if !errors.Is(err, devices.ErrNoCard) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCardsOfDifferentClocks(t *testing.T) {
	steadily(t, func(g *gaps) {
		rack(t, vcard.Spec{Name: "true"}, vcard.Spec{Name: "fast", PPM: 20_000})
		var at [2][2]playlist.Position
		var ds [2]devices.Device
		for i, name := range []string{"true", "fast"} {
			ds[i] = open(t, name)
			defer shut(t, ds[i])
		}
		for n := range 150 {
			for i, d := range ds {
				must(t, d.Write(make([]int16, devices.Period)))
				if n == 30 {
					at[i][0] = position(t, d)
				}
				at[i][1] = position(t, d)
			}
			g.look()
		}
		if g.stalled() {
			return
		}
		rate := func(i int) float64 {
			return float64(at[i][1].Consumed-at[i][0].Consumed) / at[i][1].At.Sub(at[i][0].At).Seconds() / playlist.Rate
		}
		if by := rate(1) - rate(0); by < 0.01 || by > 0.03 {
			t.Errorf("a card 2 %% fast runs %.4f faster", by)
		}
	})
}

func TestAutoStaysWithItsCard(t *testing.T) {
	cards := rack(t, vcard.Spec{Name: "left"}, vcard.Spec{Name: "right"})
	none := errors.New("no card")
	names, failing := []string{"left", "right"}, true
	o := devices.OpenerAmong(func() (string, error) {
		if failing {
			return "", none
		}
		name := names[0]
		names = names[1:]
		return name, nil
	})
	auto := playlist.Output{Name: "square", Device: "auto"}
	if _, err := o.Open(t.Context(), auto); !errors.Is(err, none) {
		t.Fatalf("with no card: %v", err)
	}
	failing = false
	d, err := o.Open(t.Context(), auto)
	must(t, err)
	must(t, d.Close())
	must(t, cards[0].Unplug())
	if _, err := o.Open(t.Context(), auto); !errors.Is(err, devices.ErrNoCard) {
		t.Errorf("its card unplugged: %v", err)
	}
	must(t, cards[0].Plug())
	d, err = o.Open(t.Context(), auto)
	must(t, err)
	must(t, d.Write(ramp(0, devices.Ring)))
	await(t, d, "sound", func(p playlist.Position) bool { return p.Consumed > 0 })
	must(t, d.Close())
	if len(heard(t, cards[0])) == 0 || len(heard(t, cards[1])) != 0 {
		t.Error("the sound moved to another card")
	}
}
