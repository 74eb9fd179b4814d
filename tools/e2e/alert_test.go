package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"dalaba/alert"
	"dalaba/alert/alerttest"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// province sends EBD packages to the county and receives its reports about
// them.
type province struct {
	t       *testing.T
	signer  *alert.Signer
	counter uint32
	number  int
	*httptest.Server

	mu     sync.Mutex
	states []alert.State
}

const ebrid = "320000000000000001"

// newProvince also returns the lines of a county's config that make the county
// trust it.
func newProvince(t *testing.T) (*province, string) {
	t.Helper()
	signer := func(serial [6]byte) *alert.Signer {
		key, err := sm2.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := smx509.MarshalSM2PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := alert.NewSigner(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), serial)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	serial := [6]byte{0, 0, 0, 0, 0, 9}
	authority, p := signer([6]byte{0, 0, 0, 0, 0, 1}), &province{t: t, signer: signer(serial)}
	cert, err := authority.Issue(serial, p.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewServer(http.HandlerFunc(p.hear))
	t.Cleanup(p.Close)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sender.cer"), string(cert.Bytes()))
	write(t, filepath.Join(dir, "ca.key"), string(authority.Public().Bytes()))
	return p, fmt.Sprintf(`
[alert]
certificates = [%q]
authorities = [%q]
[ebd]
ebrid = "320924000000000001"
upstream = %q
to = %q
`, filepath.Join(dir, "sender.cer"), filepath.Join(dir, "ca.key"), p.URL, ebrid)
}

// tarOf returns the package in a multipart body.
func tarOf(contentType string, body io.Reader) ([]byte, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	part, err := multipart.NewReader(body, params["boundary"]).NextPart()
	if err != nil {
		return io.ReadAll(body)
	}
	return io.ReadAll(part)
}

// hear receives a report of the county.
func (p *province) hear(w http.ResponseWriter, r *http.Request) {
	raw, err := tarOf(r.Header.Get("Content-Type"), r.Body)
	if err != nil {
		return
	}
	if m, err := alert.Parse(context.Background(), raw, alert.Options{}); err == nil && m.Kind == alert.KindStateResponse {
		p.mu.Lock()
		p.states = append(p.states, m.State)
		p.mu.Unlock()
	}
}

// last returns the last state reported of a message.
func (p *province) last(id playlist.AlertID) (alert.State, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range slices.Backward(p.states) {
		if s.EBM == id {
			return s, true
		}
	}
	return alert.State{}, false
}

// message returns an emergency for an area, with a clip as its sound.
func (p *province) message(name string, areas ...playlist.Area) emergency.Alert {
	p.number++
	now := time.Now()
	a := emergency.Alert{
		ID: playlist.AlertID(alerttest.EBMID(ebrid, now, p.number)), Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
		Sender: ebrid, SenderName: "省应急局", Sent: now, EventCode: "11B01", NotBefore: now, NotAfter: now.Add(time.Hour),
		Areas: areas, Texts: []emergency.Text{{Language: "zh-CN", Title: "汛情通知", Text: "请转移到高处。"}},
	}
	if name != "" {
		a.Audio = []emergency.Audio{{Name: name, MediaType: "audio/mpeg", Data: clip(p.t, name)}}
	}
	return a
}

// clip returns one of the test clips of the course.
func clip(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "data", "course", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send posts a message and returns the county's answer.
func (p *province) send(c *county, a emergency.Alert) alert.Message {
	p.t.Helper()
	p.counter++
	head := alert.EBD{Version: "1.0", ID: alert.EBDID(ebrid, uint64(p.counter)), From: ebrid, To: "320924000000000001", FromURL: p.URL, Time: time.Now()}
	pack, err := alerttest.Request(head, a, alert.Sign{By: p.signer, Counter: p.counter})
	if err != nil {
		p.t.Fatal(err)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreatePart(map[string][]string{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, pack.Name)}, "Content-Type": {"application/x-tar"},
	})
	if err == nil {
		_, err = part.Write(pack.Tar)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.http+"/ebd", &body)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := tarOf(resp.Header.Get("Content-Type"), resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := alert.Parse(context.Background(), raw, alert.Options{})
	if err != nil || m.Kind != alert.KindResponse {
		p.t.Fatalf("answered %s: %v, %v", resp.Status, m.Kind, err)
	}
	return m
}

// tape returns what a village's loudspeaker has sounded.
func (v *village) tape() []int16 {
	v.t.Helper()
	b, err := os.ReadFile(filepath.Join(v.dir, "out.wav"))
	if err != nil {
		v.t.Fatal(err)
	}
	b = b[44:]
	frames := make([]int16, len(b)/2)
	for i := range frames {
		frames[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return frames
}

// note is one of the three notes of the attention tone's figure, which repeats
// every 1.1 s.
const (
	note   = playlist.Rate * 3 / 10
	figure = playlist.Rate * 11 / 10
)

// figures counts the attention tone's figures in a recording.
func figures(tape []int16) (n int) {
	for i := 0; i+3*note <= len(tape); {
		if figureAt(tape[i:]) {
			n++
			i += 3 * note
		} else {
			i += note / 8
		}
	}
	return n
}

// figureAt reports whether a figure begins there, or an eighth of a second
// before or after.
func figureAt(tape []int16) bool {
	for i, hz := range []float64{650, 820, 1040} {
		if !hears(tape[i*note+note*3/8:i*note+note*5/8], hz) {
			return false
		}
	}
	return true
}

// hears reports whether most of the frames' energy is a sine of that frequency,
// by Goertzel's algorithm.
func hears(frames []int16, hz float64) bool {
	w := 2 * math.Cos(2*math.Pi*hz/playlist.Rate)
	var a, b, all float64
	for _, f := range frames {
		x := float64(f) / 32768
		a, b = x+w*a-b, a
		all += x * x
	}
	n := float64(len(frames))
	part := 2 * (a*a + b*b - w*a*b) / n
	return all/n > 0.001 && part > 0.8*all
}

func TestAnEmergencySoundsInItsAreaAndNowhereElse(t *testing.T) {
	if testing.Short() {
		t.Skip("eight villages for two minutes")
	}
	t.Parallel()
	p, config := newProvince(t)
	c := newCounty(t, config)
	c.toneMax = "5m" // until the sound is there, however long it takes to make
	const villages = 8
	var all, town, others []*village
	for i := range villages {
		v := c.village(playlist.Area(fmt.Sprintf("320924%03d%03d", 100+i%2, 201+i)), 100+i)
		all = append(all, v)
		if i%2 == 0 {
			town = append(town, v)
		} else {
			others = append(others, v)
		}
	}
	each(all, (*village).run)
	lesson := filepath.Join(c.dir, "lesson.mp3")
	write(t, lesson, string(bytes.Repeat(slices.Concat(clip(t, "clip1.mp3"), clip(t, "clip2.mp3"), clip(t, "clip3.mp3")), 4)))
	file := pushFile(t, c.dir, "lessons", "0 * * * * *", lesson)
	c.verb(nil, "push", file, "--area", "320924000000", "--yes", "--wait", "5m")
	waitAll(t, "a lesson is on air", all, (*village).log, func(v *village) bool {
		return slices.ContainsFunc(v.rows(), func(r asrun.Row) bool { return !r.Started.IsZero() && r.Outcome == "" })
	})
	flood := p.message("clip3.mp3", "320924100000")
	answer := p.send(c, flood)
	if answer.Result.Code != alert.ResultReceived {
		t.Fatalf("answered %+v", answer.Result)
	}
	waitState(t, town, flood.ID, emergency.StateDone)
	// The lessons of the next minutes do not matter.
	c.verb(nil, "push", pushFile(t, c.dir, "lessons", never, lesson), "--area", "320924000000", "--yes", "--wait", "5m")
	waitAll(t, "interrupted lessons have gone on", all, (*village).log, func(v *village) bool {
		return !slices.ContainsFunc(v.rows(), func(r asrun.Row) bool { return r.Outcome == "" })
	})
	residents, pushed := 0, 0
	for _, v := range town {
		residents += v.residents
		if v.accepted("push", "alerts") {
			pushed++
		}
		var tones []asrun.Row
		var sound asrun.Row
		cut := map[asrun.RowKey]bool{}
		for _, r := range v.rows() {
			switch {
			case r.Alert == flood.ID && r.Used == asrun.UsedTone:
				tones = append(tones, r)
			case r.Alert == flood.ID:
				sound = r
			case r.Outcome == asrun.Preempted:
				next := r.Key()
				next.Part++
				cut[next] = true
			case cut[r.Key()] && (r.FromFrame == 0 || r.Outcome != asrun.Complete):
				t.Errorf("%s: a lesson that was cut into goes on from frame %d: %s %s", v.id, r.FromFrame, r.Outcome, r.Reason)
			}
			delete(cut, r.Key())
		}
		if len(tones) == 0 || sound.Used != asrun.UsedClip || sound.Outcome != asrun.Complete || len(cut) > 0 {
			t.Errorf("%s: %d tones, then %s: %s; %d lessons did not go on", v.id, len(tones), sound.Used, sound.Outcome, len(cut))
		}
		tape, want := v.tape(), 0
		for _, tone := range tones {
			n := int(tone.Frames / figure)
			want += n
			for i := range n {
				if at := int(tone.AtFrame) + i*figure; at+figure > len(tape) || !figureAt(tape[at:]) {
					t.Errorf("%s: the recording of %d frames does not hold figure %d of %d of the tone at frame %d", v.id, len(tape), i+1, n, at)
				}
			}
		}
		if n := figures(tape); n < want || n > want+len(tones) {
			t.Errorf("%s: %d figures of the tone in the recording, %d in the log", v.id, n, want)
		}
	}
	// Villages that learn of it only at their next sync would play it a minute
	// late.
	if 2*pushed < len(town) {
		t.Errorf("%d of %d villages were told by a push, the others asked", pushed, len(town))
	}
	for _, v := range others {
		if n := figures(v.tape()); n > 0 || v.state(flood.ID) != "" {
			t.Errorf("%s: %d figures of a tone that is not for there", v.id, n)
		}
	}

	// The county reports to the province what was heard.
	wait(t, "the figures are upstream", func() bool {
		s, ok := p.last(flood.ID)
		return ok && s.Coverage != nil && s.Coverage.Rate == 1 && s.Coverage.Stat[3] == len(town)
	})
	if s, _ := p.last(flood.ID); s.Coverage.Stat[1] != len(town) {
		t.Errorf("%+v", s.Coverage)
	}
	if acc := c.account(flood.ID); acc.Completed != residents || acc.Targeted != residents {
		t.Errorf("the county says %+v, in earshot are %d", acc, residents)
	}

	// A cancel stops another alert.
	second := p.message("clip3.mp3", "320924000000")
	second.Audio[0].Data = bytes.Repeat(second.Audio[0].Data, 60)
	p.send(c, second)
	// Between the tone and the sound, nothing is there to stop.
	waitAll(t, "its sound is on air", all, (*village).log, func(v *village) bool {
		return slices.ContainsFunc(v.rows(), func(r asrun.Row) bool {
			return r.Alert == second.ID && r.Used == asrun.UsedClip && !r.Started.IsZero()
		})
	})
	cancel := p.message("", "320924000000")
	cancel.Kind, cancel.Refs = emergency.KindCancel, []playlist.AlertID{second.ID}
	p.send(c, cancel)
	waitState(t, all, second.ID, emergency.StateCancelled)
	waitAll(t, "its rows are closed", all, (*village).log, func(v *village) bool {
		return !slices.ContainsFunc(v.rows(), func(r asrun.Row) bool { return r.Alert == second.ID && r.Outcome == "" })
	})
	for _, v := range all {
		stopped := 0
		for _, r := range v.rows() {
			if r.Alert == second.ID && r.Reason == asrun.ReasonCancelled {
				stopped++
			}
			if r.Alert == second.ID && r.Used != asrun.UsedTone && r.Outcome == asrun.Complete {
				t.Errorf("%s: it sounded to its end: %+v", v.id, r)
			}
		}
		if stopped != 1 {
			t.Errorf("%s: %d rows of the second one say that it was cancelled, 1 wanted", v.id, stopped)
		}
	}
	each(all, func(v *village) { v.end(syscall.SIGTERM) })
}

// earshot is what `dalaba-county alert account` counts.
type earshot struct {
	Targeted  int `json:"targeted"`
	Completed int `json:"completed"`
}

func (c *county) account(id playlist.AlertID) earshot {
	c.t.Helper()
	var acc struct {
		Residents earshot `json:"residents"`
	}
	c.verb(&acc, "alert", "account", string(id), "--json")
	return acc.Residents
}

func TestAnEmergencySoundsDespiteCrashesAndLostLinks(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute or two")
	}
	t.Parallel()
	p, config := newProvince(t)
	c := newCounty(t, config)
	steady, reboots, back, late := c.village("320924100201", 10), c.village("320924100202", 20), c.village("320924100203", 30), c.village("320924100204", 40)
	each([]*village{steady, reboots, back, late}, (*village).run)
	var fleet []member
	online := func() bool {
		c.verb(&fleet, "fleet", "--json")
		return !slices.ContainsFunc(fleet, func(m member) bool { return !m.Online })
	}
	members := func() string { return fmt.Sprintf("%+v", fleet) }
	wait(t, "all are there", online, members)
	each([]*village{back, late}, func(v *village) { v.end(syscall.SIGKILL) })

	// The county dies right after it has sent the order. The sound may have
	// arrived or not: in both cases something is heard.
	flood := p.message("clip3.mp3", "320924100000")
	p.send(c, flood)
	waitState(t, []*village{steady, reboots}, flood.ID, emergency.StateAiring)
	c.end(syscall.SIGKILL)
	reboots.end(syscall.SIGKILL)
	reboots.run()
	waitState(t, []*village{steady, reboots}, flood.ID, emergency.StateDone)
	for _, v := range []*village{steady, reboots} {
		whole := 0
		for _, r := range v.rows() {
			if r.Alert == flood.ID && r.Used != asrun.UsedTone && r.Outcome == asrun.Complete {
				whole++
			}
		}
		if whole != 1 {
			t.Errorf("%s: %d whole passes, 1 wanted", v.id, whole)
		}
	}
	// A village that comes back in time is told by the county, which is back
	// too.
	c.serve()
	back.run()
	waitState(t, []*village{back}, flood.ID, emergency.StateDone)

	// A village that comes back late plays nothing of an alert that is over, by
	// its own time or by a cancel, and all of what comes then.
	brief := p.message("clip1.mp3", "320924100000")
	brief.NotAfter = time.Now().Add(15 * time.Second)
	p.send(c, brief)
	cancel := p.message("", "320924100000")
	cancel.Kind, cancel.Refs = emergency.KindCancel, []playlist.AlertID{flood.ID}
	p.send(c, cancel)
	time.Sleep(time.Until(brief.NotAfter.Add(2 * time.Second)))
	late.run()
	wait(t, "the late one is there", online, members)
	last := p.message("clip1.mp3", "320924100000")
	p.send(c, last)
	waitState(t, []*village{late}, last.ID, emergency.StateDone)
	for _, r := range late.rows() {
		if r.Frames > 0 && r.Alert != last.ID {
			t.Errorf("it sounded after its time: %+v", r)
		}
	}
	var acc earshot
	wait(t, "the account is right", func() bool {
		acc = c.account(flood.ID)
		return acc == earshot{Targeted: 100, Completed: 60}
	}, func() string { return fmt.Sprintf("%+v", acc) })
}
