//go:build cgo && !noalsa

package devices_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
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

// rack makes virtual cards that libasound can find.
func rack(t *testing.T, specs ...vcard.Spec) []*vcard.Card {
	t.Helper()
	lib, err := plugin()
	must(t, err)
	config, cards, err := vcard.Make(lib, t.TempDir(), specs...)
	must(t, err)
	t.Setenv("ALSA_CONFIG_PATH", config)
	return cards
}

// many makes n virtual cards of the same kind, for tests that run in parallel.
func many(t *testing.T, n int, spec vcard.Spec) []*vcard.Card {
	t.Helper()
	var specs []vcard.Spec
	for i := range n {
		spec.Name = fmt.Sprint("card", i)
		specs = append(specs, spec)
	}
	return rack(t, specs...)
}

func heard(t *testing.T, c *vcard.Card) []int16 {
	t.Helper()
	f, err := c.Heard()
	must(t, err)
	return f
}

// clocked returns a rig of a virtual card that has its own clock.
func clocked(card *vcard.Card, pcm string) rig {
	return rig{
		open:  func(t *testing.T) devices.Device { return open(t, pcm) },
		heard: func(t *testing.T) []int16 { return heard(t, card) },
		now: func(t *testing.T) time.Time {
			now, err := card.Now()
			must(t, err)
			return now
		},
		pass: func(t *testing.T, d time.Duration) { must(t, card.Advance(d)) },
	}
}

func TestCard(t *testing.T) {
	for _, c := range []struct {
		name, pcm string
		spec      vcard.Spec
	}{
		{"stereo", "stereo", vcard.Spec{Name: "stereo"}},
		{"mono", "mono", vcard.Spec{Name: "mono", Channels: 1}},
		{"plug:stereo", "plug:stereo", vcard.Spec{Name: "stereo"}},
		// Its clock moves between two readings, so that frames sound meanwhile,
		// as on real cards.
		{"restless", "restless", vcard.Spec{Name: "restless", Creep: 60 * time.Microsecond}},
	} {
		suite(t, func(t *testing.T, name string, f func(*testing.T, rig)) {
			t.Run(c.name+" "+name, func(t *testing.T) {
				c.spec.Clock = true
				f(t, clocked(rack(t, c.spec)[0], c.pcm))
			})
		})
	}
}

// Frames that sound between the measurement and the drop of a flush, as on a
// busy machine, are counted: later frames are where the log has them.
func TestAFlushCountsWhatSoundsBeforeTheCardStops(t *testing.T) {
	card := rack(t, vcard.Spec{Name: "slow"})[0]
	d := open(t, "slow")
	defer shut(t, d)
	must(t, card.Dawdle())
	written := int64(0)
	for range 3 {
		must(t, d.Write(ramp(int(written), devices.Ring)))
		written += devices.Ring
		await(t, d, "it sounds", func(p playlist.Position) bool { return p.Consumed > written-devices.Ring })
		before := position(t, d)
		must(t, d.Flush())
		after := position(t, d)
		if got, want := after.Consumed, int64(len(heard(t, card))); got != want {
			t.Errorf("%d frames are said to have sounded, %d have; %d had before", got, want, before.Consumed)
		}
		if after.Consumed-before.Consumed < playlist.FramesIn(50*time.Millisecond) && after.Consumed < written {
			t.Errorf("%d frames sounded during the flush, want those of 60 ms", after.Consumed-before.Consumed)
		}
		written = after.Consumed
	}
}

func TestAFlushCountsNoMoreFramesThanTheTimeAllows(t *testing.T) {
	for _, c := range []struct {
		name         string
		queued, said int64
		passed       time.Duration
		want         int64
	}{
		{"nothing", 9600, 0, time.Second, 0},
		{"a little, between two readings of a clock", 9600, 40, 0, 40},
		{"as much as the process was delayed for", 9600, 1591, 40 * time.Millisecond, 1591},
		{"more than that: the plugin has lost count", 9600, 9600, 40 * time.Millisecond, 0},
		{"little was queued, and the plugin has lost count", 100, 100, 0, 0},
		{"all, the process was delayed for long", 9600, 9600, time.Second, 9600},
		{"less than before", 9600, -5, time.Second, 0},
	} {
		if got := devices.SoundedSince(c.queued, c.said, c.passed); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// A position says when a frame will sound: compare that with when the card says
// that it did. The card uses the machine's clock. If the machine let the ring
// run empty between the position and the frame, there is nothing to compare.
func TestAPositionPredictsWhenAFrameSounds(t *testing.T) {
	type guess struct {
		frame, consumed int64
		at              time.Time // of the frame
	}
	const enough, limit = 50, time.Millisecond
	card := rack(t, vcard.Spec{Name: "left"})[0]
	d := open(t, "left")
	defer shut(t, d)
	var off []time.Duration
	written := int64(0)
	for end := time.Now().Add(time.Minute); len(off) < enough; {
		if time.Now().After(end) {
			t.Fatalf("in a minute the ring did not run dry after %d guesses, want %d", len(off), enough)
		}
		var guesses []guess
		for range enough + enough/5 {
			must(t, d.Write(ramp(int(written), devices.Period)))
			p := position(t, d)
			if p.Consumed < written { // else the frame has sounded already
				guesses = append(guesses, guess{written, p.Consumed, p.At.Add(playlist.Length(written - p.Consumed))})
			}
			written += devices.Period
		}
		await(t, d, fmt.Sprintf("all of %d frames", written), func(p playlist.Position) bool { return p.Consumed == written })
		for _, g := range guesses {
			from, ok, err := card.When(g.consumed)
			must(t, err)
			at, sounded, err := card.When(g.frame)
			must(t, err)
			if !ok || !sounded {
				t.Fatalf("frame %d or %d never sounded, want all of %d", g.consumed, g.frame, written)
			}
			if gap := at.Sub(from) - playlist.Length(g.frame-g.consumed); gap.Abs() < 100*time.Microsecond {
				off = append(off, at.Sub(g.at).Abs())
			}
		}
	}
	same(t, heard(t, card), ramp(0, int(written)))
	slices.Sort(off)
	t.Logf("off by %v at the median, %v at worst", off[len(off)/2], off[len(off)-1])
	if median := off[len(off)/2]; median > limit {
		t.Errorf("instants foretold are off by %v at the median, want at most %v; all: %v", median, limit, off)
	}
}

func TestACardThatFailsIsLost(t *testing.T) {
	cases := []struct {
		name string
		harm func(*vcard.Card) error
		want error
	}{
		{"by unplugging", (*vcard.Card).Unplug, devices.ErrNoCard},
		{"by a stall", (*vcard.Card).Stall, devices.ErrStalled},
		{"by an error of its driver", (*vcard.Card).Fail, syscall.EIO},
		{"by a suspend that does not end", (*vcard.Card).Suspend, devices.ErrStalled},
	}
	cards := many(t, len(cases), vcard.Spec{})
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			card := cards[i]
			d := open(t, card.Name)
			must(t, d.Write(ramp(0, devices.Ring)))
			last := await(t, d, "sound", func(p playlist.Position) bool { return p.Consumed > 0 })
			must(t, c.harm(card))
			late := time.AfterFunc(time.Minute, func() { _ = card.Unplug() }) // else a write might wait for ever
			defer late.Stop()
			var err error
			for n := devices.Ring; err == nil; n += devices.Period {
				if n > 10*playlist.Rate {
					t.Fatalf("the card took %d frames since it was lost, want %v", n-devices.Ring, c.want)
				}
				if p, perr := d.Position(); perr == nil {
					last = p
				}
				err = d.Write(ramp(n, devices.Period))
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if again := d.Write(ramp(0, 1)); !errors.Is(again, c.want) {
				t.Errorf("a lost device returns %v, want %v", again, c.want)
			}
			must(t, d.Close())

			if c.want == devices.ErrNoCard {
				_, err = devices.Open(t.Context(), playlist.Output{Device: card.Name}, devices.Options{})
				if !errors.Is(err, devices.ErrNoCard) {
					t.Errorf("opening an unplugged card: %v, want %v", err, devices.ErrNoCard)
				}
			}
			must(t, card.Plug())
			got := heard(t, card)
			if int64(len(got)) < last.Consumed {
				t.Errorf("heard %d frames, but told of %d", len(got), last.Consumed)
			}
			d = open(t, card.Name)
			defer shut(t, d)
			must(t, d.Write(ramp(7000, devices.Ring)))
			await(t, d, "sound again", func(p playlist.Position) bool { return p.Consumed >= devices.Period })
			same(t, heard(t, card)[len(got):][:devices.Period], ramp(7000, devices.Period))
		})
	}
}

// However long the attempts to resume it take: 10 of them exceed StallLimit.
func TestACardThatWasSuspendedContinues(t *testing.T) {
	cases := []struct {
		name  string
		awake int // the attempt that succeeds
		find  func(t *testing.T, d devices.Device)
	}{
		{"a write finds it awake at once", 1, func(*testing.T, devices.Device) {}},
		{"a write wakes it at the last attempt", devices.WakeAttempts, func(*testing.T, devices.Device) {}},
		{"a position wakes it at the last attempt", devices.WakeAttempts, func(t *testing.T, d devices.Device) { position(t, d) }},
	}
	cards := many(t, len(cases), vcard.Spec{Clock: true})
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			r := clocked(cards[i], cards[i].Name)
			r.open = func(t *testing.T) devices.Device {
				d, err := devices.Open(t.Context(), playlist.Output{Device: cards[i].Name},
					devices.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
				must(t, err)
				return d
			}
			tr := r.begin(t)
			defer shut(t, tr.d)
			tr.write(ramp(0, devices.Ring))
			tr.r.pass(t, 50*time.Millisecond)
			tr.position()
			must(t, cards[i].SuspendFor(c.awake))
			c.find(t, tr.d)
			tr.write(ramp(devices.Ring, devices.Ring))
			tr.r.pass(t, 50*time.Millisecond)
			tr.position()
			tr.dry()
			tr.same(ramp(0, 2*devices.Ring))
			if n := strings.Count(log.String(), "card was suspended"); n != 1 {
				t.Errorf("the log tells of %d suspends, want 1: %s", n, log.String())
			}
		})
	}
}

func TestACardThatAnotherProgramHoldsIsBusy(t *testing.T) {
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

func TestACardThatDoesNotExistIsReported(t *testing.T) {
	rack(t)
	for _, name := range []string{"plughw:CARD=Nowhere", "hw:7", "nonsense"} {
		_, err := devices.Open(t.Context(), playlist.Output{Device: name}, devices.Options{})
		if !errors.Is(err, devices.ErrNoCard) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCardsWithDifferentClocksKeepTheirOwnPace(t *testing.T) {
	cards := rack(t, vcard.Spec{Name: "true", Clock: true}, vcard.Spec{Name: "fast", PPM: 20_000, Clock: true})
	want := []int64{48_000, 48_960} // in a second
	var ds []devices.Device
	for _, c := range cards {
		d := open(t, c.Name)
		defer shut(t, d)
		must(t, d.Write(ramp(0, devices.Ring/2)))
		ds = append(ds, d)
	}
	for range 100 {
		for i, d := range ds {
			must(t, cards[i].Advance(10*time.Millisecond))
			must(t, d.Write(ramp(0, int(want[i])/100)))
		}
	}
	for i, d := range ds {
		must(t, cards[i].Advance(time.Millisecond))
		least := want[i] + want[i]/1000 - 1
		if p := position(t, d); p.Consumed < least || p.Consumed > least+2 || p.Underruns != 0 {
			t.Errorf("the %s card is at %+v after 1.001 s, want %d to %d frames and no underrun", cards[i].Name, p, least, least+2)
		}
	}
}

func TestAutoKeepsItsCard(t *testing.T) {
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
