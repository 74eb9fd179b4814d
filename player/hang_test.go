package player_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// hangs opens devices, but one only once let go.
func hangs(device string, letGo <-chan struct{}) player.OpenDevice {
	return func(ctx context.Context, o playlist.Output) (player.Device, error) {
		if o.Device == device {
			<-letGo // whatever ctx says: a driver does not know it
			return nil, errUnplugged
		}
		return devices.Open(ctx, o, devices.Options{})
	}
}

func TestACardThatHangsAsItIsOpenedSilencesNoOtherOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		defer close(letGo)
		s := newSiren(t, "east", "west")
		s.here[1].Store(true)
		s.device = hangs("wav:"+s.wav("west"), letGo)
		s.slot("each", "* * * * *", func(x *playlist.Slot) { x.Window = 20 * time.Second })
		s.start()
		defer s.close()
		time.Sleep(150 * time.Second)
		begun := time.Now()
		s.receive(alert("a", func(r *emergency.Record) { r.NotAfter = time.Now().Add(20 * time.Second) }))
		time.Sleep(60 * time.Second)
		// West is put on another device, and has nothing to do with the old one
		// any more but that it must let go first.
		next := *s.programme
		next.Outputs = append([]playlist.Output(nil), next.Outputs...)
		next.Outputs[1].Device = "null:"
		if err := s.player.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if west, ok := s.player.Channel("west"); !ok || !west.Up() {
			t.Error("west is not up on its other device")
		}
		if err := s.player.Reload(t.Context(), s.programme); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		asked := time.Now()
		s.stop()
		if took := time.Since(asked); took > 2*time.Second {
			t.Errorf("it took %v to stop", took)
		}
		if got, want := s.summary(), "/east/clip2:complete /east/汛情:complete each/east/clip1:complete each/east/clip2:complete each/east/clip3:complete "+
			"each/west/clip1:missed:device_gone each/west/clip2:missed:device_gone each/west/clip3:missed:device_gone"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, r := range s.rows() {
			if r.Alert != "" && r.Item == 1 && r.Part == 1 && r.Started.Sub(begun) > time.Second {
				t.Errorf("the alert sounded after %v", r.Started.Sub(begun))
			}
		}
	})
}

// stuck is a card that, once told, runs but takes nothing any more.
type stuck struct {
	player.Device
	told *atomic.Bool
	pos  *playlist.Position // as it was when it stuck
}

func (f *stuck) Write(b []int16) error {
	if !f.told.Load() {
		return f.Device.Write(b)
	}
	return nil // its ring takes this much
}

func (f *stuck) Position() (playlist.Position, error) {
	if !f.told.Load() {
		return f.Device.Position()
	}
	if f.pos == nil {
		p, err := f.Device.Position()
		if err != nil {
			return p, err
		}
		f.pos = &p
	}
	p := *f.pos
	p.At = time.Now()
	return p, nil
}

func TestACardThatOpensAndPlaysNothingIsGivenUpAndToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			told  atomic.Bool
			opens atomic.Int32
			log   bytes.Buffer
		)
		open := func(ctx context.Context, o playlist.Output) (player.Device, error) {
			opens.Add(1)
			d, err := devices.Open(ctx, o, devices.Options{})
			return &stuck{Device: d, told: &told}, err
		}
		s := newStage(t, "east")
		s.device = open
		s.slot("once", "1 0 * * *", func(x *playlist.Slot) { x.Count = 2 })
		s.start()
		time.Sleep(62 * time.Second)
		told.Store(true)
		before := opens.Load()
		time.Sleep(12 * time.Second)
		if got, want := s.summary(), "once/east/:missed:device_gone once/east/clip1:partial:device_gone"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		time.Sleep(48 * time.Second)
		if n := opens.Load() - before; n < 30 || n > 80 {
			t.Errorf("%d attempts in a minute", n)
		}
		s.mu.Lock()
		log.Write(s.log.Bytes())
		s.mu.Unlock()
		if n := bytes.Count(log.Bytes(), []byte("output lost")); n != 1 {
			t.Errorf("told %d times", n)
		}
		if n := bytes.Count(log.Bytes(), []byte("output opened")); n != 1 {
			t.Errorf("called open %d times", n)
		}
		told.Store(false)
		time.Sleep(5 * time.Second)
		s.close()
		if n := bytes.Count(s.log.Bytes(), []byte("output opened")); n != 2 {
			t.Errorf("called open %d times in the end", n)
		}
	})
}

// brief is a card that breaks off a moment after each opening.
type brief struct {
	player.Device
	until time.Time
}

var errBrief = errors.New("a loose plug")

func (f brief) Write(b []int16) error {
	if time.Now().After(f.until) {
		return errBrief
	}
	return f.Device.Write(b)
}

func TestALoosePlugDoesNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		good := time.Now().Add(time.Minute)
		ch := player.NewChannel(playlist.Output{Name: "room", Device: "null:"}, func(ctx context.Context, o playlist.Output) (player.Device, error) {
			d, err := devices.Open(ctx, o, devices.Options{})
			until := time.Now().Add(300 * time.Millisecond)
			if time.Now().After(good) {
				until = until.Add(time.Hour)
			}
			return brief{d, until}, err
		}, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- ch.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		cancel()
		<-ended
		if n := bytes.Count(log.Bytes(), []byte("\n")); n > 6 {
			t.Errorf("%d lines:\n%s", n, log.Bytes())
		}
		if !bytes.Contains(log.Bytes(), []byte("a loose plug")) || bytes.Count(log.Bytes(), []byte("output opened")) != 2 {
			t.Errorf("it was not told that all is well again:\n%s", log.Bytes())
		}
	})
}

// kept is a card that runs dry between any two writes, for the program is kept
// waiting by the machine for that long before each.
type kept struct {
	wait           time.Duration
	began          time.Time
	before, frames int64 // written before this run of sound, and in it
	runs           int64
}

func (k *kept) consumed() int64 {
	return k.before + min(k.frames, playlist.FramesIn(time.Since(k.began)))
}

func (k *kept) Write(b []int16) error {
	time.Sleep(k.wait)
	k.before, k.frames, k.began = k.before+k.frames, int64(len(b)), time.Now()
	k.runs++
	return nil
}

func (k *kept) Position() (playlist.Position, error) {
	return playlist.Position{Consumed: k.consumed(), At: time.Now(), Underruns: k.runs}, nil
}

func (k *kept) Flush() error   { return nil }
func (k *kept) Levelled() bool { return true }
func (k *kept) Close() error   { return nil }

func TestACardThatIsFedLateIsNotTakenForStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		opened := 0
		ch := player.NewChannel(playlist.Output{Name: "room"}, func(context.Context, playlist.Output) (player.Device, error) {
			opened++
			return &kept{wait: 400 * time.Millisecond}, nil
		}, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- ch.Run(ctx) }()
		time.Sleep(20 * time.Second)
		cancel()
		<-ended
		if opened != 1 || bytes.Contains(log.Bytes(), []byte("output lost")) {
			t.Errorf("opened %d times, want once:\n%s", opened, log.Bytes())
		}
	})
}
