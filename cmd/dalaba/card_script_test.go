package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dalaba/data"
	"dalaba/devices/vcard"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// cardCmds are the commands of scripts about sound cards and what hangs on
// them.
var cardCmds = map[string]func(*testscript.TestScript, bool, []string){
	"cards":       makeCards,
	"kernel":      preloadKernel,
	"card":        tellCard,
	"soundserver": runSoundServer,
	"soon":        soon,
	"onair":       onAir,
	"row":         waitRow,
	"events":      waitEvents,
	"tape":        holdTape,
	"silent":      holdSilence,
	"relay":       holdRelay,
}

var racks sync.Map // script's work folder -> map[string]*vcard.Card

// cards NAME... makes virtual sound cards and lets libasound find them, and
// no others, by those names and as plughw:CARD=NAME.
func makeCards(ts *testscript.TestScript, _ bool, names []string) {
	lib, err := vcard.Build(ts.Getenv("WORK"))
	ts.Check(err)
	var specs []vcard.Spec
	for _, n := range names {
		specs = append(specs, vcard.Spec{Name: n, Mixer: true})
	}
	config, cards, err := vcard.Make(lib, ts.MkAbs("cards"), specs...)
	ts.Check(err)
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteString("pcm.plughw { @args [ CARD DEV ] @args.CARD { type string } @args.DEV { type string default \"0\" } type plug slave.pcm $CARD }\n")
	ts.Check(err)
	ts.Check(f.Close())
	rack := map[string]*vcard.Card{}
	for _, c := range cards {
		rack[c.Name] = c
	}
	racks.Store(ts.Getenv("WORK"), rack)
	ts.Setenv("ALSA_CONFIG_PATH", config)
	ts.Setenv("CARDS", strings.Join(names, " "))
}

//go:embed testdata/kernel.c
var kernel []byte

// kernel makes the cards look like the kernel's, in the order they were made:
// what lists cards finds them.
func preloadKernel(ts *testscript.TestScript, _ bool, _ []string) {
	c, lib := ts.MkAbs("kernel.c"), ts.MkAbs("kernel.so")
	ts.Check(os.WriteFile(c, kernel, 0o644))
	ts.Check(ts.Exec("gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", lib, c, "-ldl"))
	ts.Setenv("LD_PRELOAD", lib)
}

func card(ts *testscript.TestScript, name string) *vcard.Card {
	rack, _ := racks.Load(ts.Getenv("WORK"))
	cards, _ := rack.(map[string]*vcard.Card)
	if cards[name] == nil {
		ts.Fatalf("no card %q", name)
	}
	return cards[name]
}

// card NAME unplug|stall|occupy|hang|fail|sleep|plug
func tellCard(ts *testscript.TestScript, _ bool, args []string) {
	c := card(ts, args[0])
	do, ok := map[string]func() error{"unplug": c.Unplug, "stall": c.Stall, "occupy": c.Occupy, "plug": c.Plug, "hang": c.Hang, "fail": c.Fail, "sleep": c.Suspend}[args[1]]
	if !ok {
		ts.Fatalf("usage: card name unplug|stall|occupy|hang|fail|sleep|plug")
	}
	ts.Check(do())
}

type soundServer struct {
	server, recorder *exec.Cmd
	tapes            int
}

var servers sync.Map // script's work folder -> *soundServer

// soundserver start|kill runs a PulseAudio of the script's own, whose sink is
// recorded to tape1, tape2 and so on, one for each start. The ALSA name
// "speaker" leads to it.
func runSoundServer(ts *testscript.TestScript, _ bool, args []string) {
	work := ts.Getenv("WORK")
	v, again := servers.LoadOrStore(work, &soundServer{})
	s := v.(*soundServer)
	kill := func() {
		for _, c := range []*exec.Cmd{s.server, s.recorder} {
			if c != nil {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
		}
		s.server, s.recorder = nil, nil
	}
	if args[0] == "kill" {
		kill()
		return
	}
	if !again {
		ts.Defer(kill)
		config := filepath.Join(work, "asound.conf")
		ts.Check(os.WriteFile(config, fmt.Appendf(nil, "pcm.speaker { type pulse server \"unix:%s/native\" device \"spk\" }\n", work), 0o644))
		ts.Setenv("ALSA_CONFIG_PATH", config)
		for _, key := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
			ts.Setenv(key, work)
		}
	}
	child := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Env = append(os.Environ(), "HOME="+work, "XDG_RUNTIME_DIR="+work, "XDG_CONFIG_HOME="+work, "PULSE_SERVER=unix:"+work+"/native")
		return c
	}
	s.server = child("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+work+"/native",
		"-L", "module-null-sink sink_name=spk rate=48000 format=s16le channels=2 norewinds=1")
	ts.Check(s.server.Start())
	await(ts, "the sound server", func() bool { return child("pactl", "info").Run() == nil })
	s.tapes++
	tape, err := os.Create(filepath.Join(work, fmt.Sprint("tape", s.tapes)))
	ts.Check(err)
	defer tape.Close()
	s.recorder = child("parec", "-d", "spk.monitor", "--raw", "--rate=48000", "--channels=2", "--format=s16le", "--latency-msec=20")
	s.recorder.Stdout = tape
	ts.Check(s.recorder.Start())
	await(ts, "the recorder", func() bool { fi, err := os.Stat(tape.Name()); return err == nil && fi.Size() > 0 })
}

// heardOn is what a card, or the sound server, has sounded so far.
func heardOn(ts *testscript.TestScript, device string) []int16 {
	if device != "speaker" {
		f, err := card(ts, device).Heard()
		ts.Check(err)
		return f
	}
	var all []int16
	for n := 1; ; n++ {
		b, err := os.ReadFile(ts.MkAbs(fmt.Sprint("tape", n)))
		if err != nil {
			return all
		}
		for ; len(b) >= 4; b = b[4:] {
			all = append(all, int16(binary.LittleEndian.Uint16(b)))
		}
	}
}

// soon FILE puts cron specs that fall due N seconds from now in the place of
// "+N".
func soon(ts *testscript.TestScript, _ bool, args []string) {
	zone := time.FixedZone("Asia/Shanghai", 8*3600)
	now := time.Now().In(zone)
	text := regexp.MustCompile(`"\+(\d+)"`).ReplaceAllStringFunc(ts.ReadFile(args[0]), func(s string) string {
		n, _ := strconv.Atoi(strings.Trim(s, `"+`))
		return now.Add(time.Duration(n) * time.Second).Format(`"5 4 15 2 1 *"`)
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// onair DEVICE waits until a card has sounded for a third of a second.
func onAir(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, "sound on "+args[0], func() bool { return sounding(heardOn(ts, args[0])) > playlist.Rate/3 })
}

// silent DEVICE holds that nothing at all has sounded there.
func holdSilence(ts *testscript.TestScript, _ bool, args []string) {
	if n := sounding(heardOn(ts, args[0])); n > 0 {
		ts.Fatalf("%d frames sounded on %s", n, args[0])
	}
}

func sounding(frames []int16) (n int) {
	for _, f := range frames {
		if f != 0 {
			n++
		}
	}
	return n
}

// rowsOf are the rows that satisfy each KEY=VALUE, as JSON names and tells them.
func rowsOf(ts *testscript.TestScript, dir string, want []string) (rows []asrun.Row, all string) {
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(dir))
	if err != nil {
		return nil, err.Error()
	}
	defer store.Close()
	for r, err := range store.AsRun(context.Background(), data.Query{}) {
		ts.Check(err)
		b, err := json.Marshal(r)
		ts.Check(err)
		all += string(b) + "\n"
		var is map[string]any
		ts.Check(json.Unmarshal(b, &is))
		fits := true
		for _, w := range want {
			key, value, _ := strings.Cut(w, "=")
			told := ""
			if v, ok := is[key]; ok {
				told = fmt.Sprint(v)
			}
			fits = fits && told == value
		}
		if fits {
			rows = append(rows, r)
		}
	}
	return rows, all
}

// row DATA_DIR KEY=VALUE... waits for a row of the as-run log.
func waitRow(ts *testscript.TestScript, _ bool, args []string) {
	all := ""
	defer func() { ts.Logf("%s", all) }()
	await(ts, "a row with "+strings.Join(args[1:], " "), func() bool {
		var rows []asrun.Row
		rows, all = rowsOf(ts, args[0], args[1:])
		return len(rows) > 0
	})
}

// events DATA_DIR OUTPUT REGEXP waits until the device log tells so of an
// output: its messages, joined by commas.
func waitEvents(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[2])
	said := ""
	defer func() { ts.Logf("%s: %s", args[1], said) }()
	await(ts, "events "+args[2], func() bool {
		store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
		if err != nil {
			return false
		}
		defer store.Close()
		events, err := store.Events(context.Background(), 0, 0)
		ts.Check(err)
		var words []string
		for _, e := range events {
			if e.Attrs["output"] == args[1] {
				words = append(words, e.Message)
			}
		}
		said = strings.Join(words, ",")
		return want.MatchString(said)
	})
}

// A break in the sound costs no more than this, a fade and what a device had
// queued as it was lost.
const breakCost = playlist.Rate / 4

// tape DATA_DIR OUTPUT DEVICE holds what a device sounded against the as-run
// log: the clips' frames that the rows tell of are on it in order, whole but
// for breaks, and nothing else is. At every break of a card's sound the device
// log tells of a card that ran dry, was lost or came back, and a card's frames
// are where the rows say, exactly as long as nothing broke and no card was lost.
//
// A sound server skips by itself if the machine is busy, and its recorder lags
// behind and is killed with it: half of a row's frames will do.
func holdTape(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: tape data_dir output device")
	}
	if args[2] != "speaker" {
		if fault := judgeTape(ts, args[0], args[1], args[2]); fault != "" {
			ts.Fatalf("%s: %s", args[1], fault)
		}
		return
	}
	fault := ""
	await(ts, "a recording that holds what the log says", func() bool {
		fault = judgeTape(ts, args[0], args[1], args[2])
		if fault != "" {
			time.Sleep(5 * time.Second) // to look costs much
		}
		return fault == ""
	}, func() string { return fault })
}

// judgeTape tells what is wrong with a tape.
func judgeTape(ts *testscript.TestScript, dir, output, device string) (fault string) {
	server := device == "speaker"
	rows, _ := rowsOf(ts, dir, []string{"output=" + output})
	slices.SortFunc(rows, func(a, b asrun.Row) int { return a.Started.Compare(b.Started) })
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(dir))
	ts.Check(err)
	defer store.Close()
	events, err := store.Events(context.Background(), 0, 0)
	ts.Check(err)
	events = slices.DeleteFunc(events, func(e asrun.Event) bool { return e.Attrs["output"] != output })
	tape := heardOn(ts, device)
	// What a card sounds between the last look at it and its loss is not counted,
	// and sounds again: of silence nothing else shows that.
	losses := 0
	for _, e := range events {
		if e.Message == "output lost" {
			losses++
		}
	}
	at, known, breaks := 0, int64(0), 0
	for _, r := range rows {
		if r.Frames < playlist.Rate/20 && r.Reason == asrun.ReasonStopped {
			continue // stopped as it began, all of it is a fade
		}
		if r.Frames == 0 {
			continue
		}
		_, path, err := store.Clip(context.Background(), r.Clip)
		ts.Check(err)
		clip := decode(ts, path)[:r.FromFrame+r.Frames]
		if !server {
			at = min(at, int(r.AtFrame)) // a faded end may be taken for a frame more than there is
		}
		stretches, lost := follow(tape, at, clip, int(r.FromFrame))
		row := fmt.Sprintf("%s part %d: %s %s: frames %d to %d of the clip at frame %d in the log; on tape %v, %d frames not found",
			r.Airing, r.Part, r.Outcome, r.Reason, r.FromFrame, r.FromFrame+r.Frames, r.AtFrame, stretches, lost)
		if len(stretches) == 0 {
			return row
		}
		first, last := stretches[0], stretches[len(stretches)-1]
		cut := len(stretches) - 1
		fades := cut
		if r.FromFrame > 0 {
			fades++
		}
		if r.Outcome != asrun.Complete {
			fades++
		}
		most := fades*breakCost + playlist.Rate/1000 // where a squeezed run ends in silence no frame tells
		if server {
			most = int(r.Frames / 2)
		}
		if lost > most {
			return fmt.Sprintf("%s, %d at most may be lost", row, most)
		}
		if !server {
			for _, s := range stretches[1:] {
				if told := toldOf(ts, device, events, s.tape); told != "" {
					return row + "; " + told
				}
			}
		}
		known += int64(sounding(clip[r.FromFrame:]))
		breaks += cut
		slack := int64(breaks+losses) * breakCost
		if off := int64(first.tape-first.clip) + r.FromFrame - r.AtFrame; !server && max(off, -off) > slack {
			return fmt.Sprintf("%s, %d frames from where the log has it", row, off)
		}
		at = last.tape + last.frames
	}
	if more := int64(sounding(tape)) - known; more > int64(len(rows)+breaks)*breakCost {
		return fmt.Sprintf("%d frames sounded that are not in the log", more)
	}
	return ""
}

// toldOf looks whether the device log tells why a card's sound went on anew at
// that frame of its tape, and if not, what it does tell. The same goroutine
// sounds it and tells of it.
func toldOf(ts *testscript.TestScript, device string, events []asrun.Event, frame int) (not string) {
	const before, after = 2 * time.Second, 10 * time.Second
	at, ok, err := card(ts, device).When(int64(frame))
	ts.Check(err)
	if !ok {
		return fmt.Sprintf("the card does not tell when frame %d sounded", frame)
	}
	said := ""
	for _, e := range events {
		if d := e.At.Sub(at); d > -before && d < after {
			switch e.Message {
			case "underrun", "output lost", "output opened", "output does not open":
				return ""
			}
		}
		said += fmt.Sprintf(", %s %v after", e.Message, e.At.Sub(at))
	}
	return fmt.Sprintf("it broke at frame %d, and the device log tells of nothing near%s", frame, said)
}

// stretch is frames of a clip that are on a tape, unchanged but for slips.
type stretch struct{ tape, clip, frames int }

// follow finds a clip's frames from one on, in order, on a tape behind a
// place, and counts those that are not there.
func follow(tape []int16, at int, clip []int16, from int) (found []stretch, lost int) {
	const probe, step = playlist.Rate / 200, playlist.Rate / 500
	next, kept := from, 0 // where on tape the sound was last kept to the time
	for j := from; j+probe <= len(clip); {
		i := -1
		if len(found) > 0 { // close by at first: another airing may sound the same
			const near = playlist.Rate / 10
			for k := j; i < 0 && k < next+near && k+probe <= len(clip); k += step {
				if i = find(tape[:min(len(tape), at+k-next+near)], at, clip[k:k+probe]); i >= 0 {
					j = k
				}
			}
		}
		if i < 0 {
			i = find(tape, at, clip[j:j+probe])
		}
		if i < 0 {
			j += step
			continue
		}
		back := 0
		for j-back > next && i-back > at && tape[i-back-1] == clip[j-back-1] {
			back++
		}
		s := stretch{i - back, j - back, back}
		slipped, keeps := 0, kept // the end of the last run that was squeezed, from s.tape on
		for i, j = s.tape, s.clip; ; {
			for i < len(tape) && j < len(clip) && tape[i] == clip[j] {
				i, j = i+1, j+1
			}
			by, ok := slip(tape[s.tape:], i-s.tape, clip[s.clip:], j-s.clip, slipped)
			if ok {
				slipped = i + by.tape - s.tape
			} else {
				by, ok = slipInSilence(tape[s.tape:], i-s.tape, clip[s.clip:], j-s.clip)
			}
			if !ok {
				break
			}
			i, j = i+by.tape, j+by.clip
			keeps = i
		}
		s.frames = i - s.tape
		// While it is kept to the time, squeezed runs may follow each other in
		// places too quiet to tell them apart.
		gap, lack := s.tape-at, s.tape-at-(s.clip-next)
		quiet := kept > 0 && at-kept < playlist.Rate/2 && gap <= playlist.Rate/50 && max(lack, -lack) <= 8
		kept = keeps
		if n := len(found) - 1; n >= 0 && (quiet || nearly(tape[at:s.tape], clip[next:s.clip])) {
			found[n].frames = s.tape + s.frames - found[n].tape
		} else {
			found = append(found, s)
			lost += s.clip - next
		}
		next, at = j, i
	}
	// A quiet end that was slipped has nothing in it to be found by.
	if left := len(clip) - next; len(found) > 0 && at+left <= len(tape) && nearly(tape[at:at+left], clip[next:]) {
		found[len(found)-1].frames += left
		next = len(clip)
	}
	return found, lost + len(clip) - next
}

// slip finds, as tape and clip part at i and j, a run of frames before there
// that the player squeezed or stretched by one to be on time again, and tells
// how far behind i and j the run ends. Two such runs do not follow each other
// at once: the last ended at last.
func slip(tape []int16, i int, clip []int16, j int, last int) (by stretch, ok bool) {
	const run, between = 480, 300
	for back := range min(run, i+1, j+1) {
		for _, n := range []int{run + 1, run - 1} {
			a, b := i-back, j-back
			if a+run > len(tape) || b+n > len(clip) || last > 0 && a < last+between || sounding(tape[a:a+run]) == 0 {
				continue
			}
			same := true
			for k := 0; k < run && same; k++ {
				x := float64(k) * float64(n-1) / (run - 1)
				m := min(int(x), n-2)
				f := x - float64(m)
				same = tape[a+k] == int16(math.Round(float64(clip[b+m])*(1-f)+float64(clip[b+m+1])*f))
			}
			if same {
				return stretch{tape: run - back, clip: n - back}, true
			}
		}
	}
	return stretch{}, false
}

// slipInSilence is as slip, for runs that were squeezed or stretched in a
// silence that ends at i: these leave no other trace than its length.
func slipInSilence(tape []int16, i int, clip []int16, j int) (by stretch, ok bool) {
	const run, piece, loud = 480, 48, 4
	silent := 0
	for silent < i && tape[i-1-silent] == 0 {
		silent++
	}
	if silent < run || i+piece > len(tape) || sounding(tape[i:i+piece]) < loud {
		return stretch{}, false
	}
	for d := range silent/(2*run) + 2 {
		for _, at := range []int{j + d, j - d} {
			if at >= 0 && at+piece <= len(clip) && slices.Equal(tape[i:i+piece], clip[at:at+piece]) {
				return stretch{clip: at - j}, d > 0
			}
		}
	}
	return stretch{}, false
}

// nearly reports whether what is on tape between two stretches is the clip,
// but for a few frames less or more.
func nearly(tape, clip []int16) bool {
	n := min(len(tape), len(clip))
	if n > playlist.Rate/2 || len(tape)+len(clip)-2*n > playlist.Rate/1000 {
		return false
	}
	var off, power float64
	for i := range n {
		d := float64(tape[i]) - float64(clip[i])
		off, power = off+d*d, power+float64(clip[i])*float64(clip[i])
	}
	return off <= power+float64(n)
}

// find is where a piece of sound begins on a tape, -1 where it does not or is
// too quiet to tell.
func find(tape []int16, at int, piece []int16) int {
	if sounding(piece) < len(piece)/2 {
		return -1
	}
	for i := at; i+len(piece) <= len(tape); i++ {
		if tape[i] == piece[0] && slices.Equal(tape[i:i+len(piece)], piece) {
			return i
		}
	}
	return -1
}

// relay FILE DATA_DIR HOLD holds the lines "on NANOSECONDS" and "off
// NANOSECONDS" that a relay wrote against the as-run log: on once, before the
// first sound, and off once, hold after the last. An off before them is no
// matter. How long before is told by tests that own the clock.
func holdRelay(ts *testscript.TestScript, _ bool, args []string) {
	hold, err := time.ParseDuration(args[2])
	ts.Check(err)
	var words []string
	var at []time.Time
	await(ts, "the relay's off", func() bool {
		words, at = nil, nil
		b, _ := os.ReadFile(ts.MkAbs(args[0]))
		for line := range strings.Lines(string(b)) {
			var word string
			var ns int64
			if n, _ := fmt.Sscan(line, &word, &ns); n == 2 {
				words, at = append(words, word), append(at, time.Unix(0, ns))
			}
		}
		if len(words) > 0 && words[0] == "off" { // as the daemon finds it
			words, at = words[1:], at[1:]
		}
		return slices.Contains(words, "off")
	})
	if !slices.Equal(words, []string{"on", "off"}) {
		ts.Fatalf("the relay was switched %v", words)
	}
	rows, _ := rowsOf(ts, args[1], nil)
	var first, last time.Time
	for _, r := range rows {
		if r.Frames > 0 && (first.IsZero() || r.Started.Before(first)) {
			first = r.Started
		}
		if r.Ended.After(last) {
			last = r.Ended
		}
	}
	ts.Logf("on %v before the sound, off %v after it", first.Sub(at[0]), at[1].Sub(last))
	if d := first.Sub(at[0]); d <= 0 {
		ts.Fatalf("on %v after the first sound, want before", -d)
	}
	if d := at[1].Sub(last); d < hold-time.Second/10 {
		ts.Fatalf("off %v after the sound, want %v", d, hold)
	}
}

// What holds tapes against the log must itself see what is wrong with a tape.
func TestTapesAreFollowed(t *testing.T) {
	// Noise without high notes, as speech is.
	clip := make([]int16, playlist.Rate)
	for i, r := 1, rand.New(rand.NewPCG(1, 2)); i < len(clip); i++ {
		clip[i] = int16(0.95*float64(clip[i-1]) + 4000*(r.Float64()-0.5))
	}
	clear(clip[40_000:45_000])
	var squeezed []int16
	for from := 0; from+1441 <= len(clip); from += 1441 {
		squeezed = append(squeezed, clip[from:from+960]...)
		for i := range 480 {
			x := float64(i) * 480 / 479
			j := min(int(x), 479)
			f := x - float64(j)
			squeezed = append(squeezed, int16(math.Round(float64(clip[from+960+j])*(1-f)+float64(clip[from+961+j])*f)))
		}
	}
	squeezed = append(squeezed, clip[len(clip)/1441*1441:]...)
	pause := make([]int16, 5000)
	lead := make([]int16, 1000)
	with := func(parts ...[]int16) []int16 { return slices.Concat(append([][]int16{lead}, parts...)...) }
	for _, c := range []struct {
		name      string
		tape      []int16
		at        int // of the first frame found; -1: nothing is
		stretches int
		lost      int
	}{
		{"a whole clip", with(clip, lead), 1000, 1, 0},
		{"a clip cut short", with(clip[:30_000], lead), 1000, 1, 18_000},
		{"a clip that lacks its beginning", with(clip[20_000:]), 1000, 1, 20_000},
		{"silence within", with(clip[:10_000], lead, clip[10_000:]), 1000, 2, 0},
		{"a silence three frames shorter", with(clip[:40_000], pause[3:], clip[45_000:]), 1000, 1, 0},
		{"a hole", with(clip[:10_000], clip[12_000:]), 1000, 2, 2000},
		{"a frame slipped", with(clip[:10_000], clip[10_001:]), 1000, 1, 0},
		{"runs squeezed by a frame each", with(squeezed), 1000, 1, 0},
		{"a stretch of something else", with(clip[:10_000], clip[30_000:30_500], clip[10_500:]), 1000, 2, 500},
		{"a part heard twice", with(clip[:10_000], clip[5000:]), 1000, 2, 0},
		{"nothing of it", with(lead, lead), -1, 0, playlist.Rate},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, lost := follow(c.tape, 0, clip, 0)
			at := -1
			if len(found) > 0 {
				at = found[0].tape
			}
			if at != c.at || len(found) != c.stretches || lost != c.lost {
				t.Errorf("got %d at %d, %d lost; want %d at %d, %d lost: %v", len(found), at, lost, c.stretches, c.at, c.lost, found)
			}
		})
	}
}
