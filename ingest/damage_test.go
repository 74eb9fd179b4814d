package ingest_test

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dalaba/ingest"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// half keeps a part of a file.
func half(part float64) func([]byte) []byte {
	return func(b []byte) []byte { return b[:int(part*float64(len(b)))] }
}

// blank overwrites bytes with zeros, from a part of the file on.
func blank(part float64, n int) func([]byte) []byte {
	return func(b []byte) []byte {
		at := int(part * float64(len(b)))
		copy(b[at:], make([]byte, min(n, len(b)-at)))
		return b
	}
}

func both(f, g func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte { return g(f(b)) }
}

// talk writes six seconds of speech.
func talk(t testing.TB, dir string) string {
	t.Helper()
	return record(t, filepath.Join(dir, "talk.wav"), synth(6, murmur(0.3)))
}

// Of the files that lack more than a second, each gap is told; as it is, the
// file makes a clip of what is there.
func TestWhatASourceLacksIsTold(t *testing.T) {
	t.Parallel()
	said := read(t, talk(t, t.TempDir()))
	bare := []string{"-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0"}
	vbri := func(b []byte) []byte { // the header of Fraunhofer's encoder, in an empty frame of 64 kbit/s
		frame := make([]byte, 192)
		copy(frame, b[:4])
		copy(frame[36:], "VBRI\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfa") // 250 frames: 6 s
		return append(frame, b...)
	}
	for _, c := range []struct {
		name  string
		out   string
		args  []string
		spoil func([]byte) []byte
		want  ingest.Damage
	}{
		{"half an MP3", "in.mp3", []string{"-b:a", "64k"}, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half an MP3 of variable rate", "in.mp3", []string{"-q:a", "4"}, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half an MP3 with a VBRI header", "in.mp3", bare, both(vbri, half(0.5)), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"a hole in an MP3", "in.mp3", []string{"-b:a", "64k"}, blank(0.5, 12_000), ingest.Damage{{At: 3, Seconds: 1.5}}},
		{"a hole in an MP3 without a header", "in.mp3", bare, blank(0.5, 12_000), ingest.Damage{{At: 3, Seconds: 1.5}}},
		{"a hole at the end of an MP3 without a header", "in.mp3", bare, blank(0.75, 1<<20), ingest.Damage{{At: 4.5, Seconds: 1.5}}},
		{"a hole at the beginning of one", "in.mp3", bare, blank(0, 12_000), ingest.Damage{{At: 0, Seconds: 1.5}}},
		{"two holes in an MP3, and no end", "in.mp3", []string{"-b:a", "64k"}, both(both(blank(0.2, 4_000), blank(0.5, 8_000)), half(0.75)),
			ingest.Damage{{At: 1.2, Seconds: 0.5}, {At: 3, Seconds: 1}, {At: 4.5, Seconds: 1.5, Of: 6}}},
		{"a hole in an MP2", "in.mp2", []string{"-b:a", "128k"}, blank(0.5, 24_000), ingest.Damage{{At: 3, Seconds: 1.5}}},
		{"a hole in an AAC", "in.aac", nil, blank(0.5, 20_000), ingest.Damage{{At: 3, Seconds: 1.8}}},
		{"half a FLAC", "in.flac", nil, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"a hole in a FLAC", "in.flac", nil, blank(0.5, 50_000), ingest.Damage{{At: 3, Seconds: 1.6}}},
		{"half a WAV", "in.wav", nil, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half a WAV of 64 bits", "in.wav", []string{"-rf64", "always"}, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half a W64", "in.w64", nil, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half an AIFF", "in.aiff", nil, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half a CAF", "in.caf", nil, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half a WMA", "in.wma", nil, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half an M4A", "in.m4a", []string{"-movflags", "+faststart"}, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"a hole in an M4A", "in.m4a", []string{"-movflags", "+faststart"}, blank(0.5, 20_000), ingest.Damage{{At: 3, Seconds: 1.8}}},
		{"half a Matroska", "in.mka", []string{"-c:a", "libopus"}, half(0.5), ingest.Damage{{At: 3, Seconds: 3, Of: 6}}},
		{"half an Ogg", "in.ogg", []string{"-c:a", "libvorbis"}, half(0.5), ingest.Damage{{At: 2.5}}},
		{"half an Opus", "in.opus", []string{"-c:a", "libopus"}, half(0.5), ingest.Damage{{At: 2.5}}},
		{"a hole in an Opus", "in.opus", []string{"-c:a", "libopus"}, blank(0.5, 12_000), ingest.Damage{{At: 2.5, Seconds: 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			wav := filepath.Join(dir, "talk.wav")
			write(t, wav, said)
			path := filepath.Join(dir, "spoilt"+filepath.Ext(c.out))
			write(t, path, c.spoil(read(t, ffmpeg(t, wav, c.out, c.args...))))
			g := ingester(t)
			_, err := g.File(t.Context(), path, ingest.Meta{}, nil)
			if key := refused(t, err); key != "ingest.incomplete" {
				t.Fatalf("refused with %v", err)
			}
			for _, as := range []string{"--as-is", "as_is = true"} {
				for _, l := range []say.Lang{say.Chinese, say.English} {
					if text := say.In(l, err); !strings.Contains(text, as) {
						t.Errorf("%q does not tell %s", text, as)
					}
				}
			}
			empty(t, g)

			res, err := g.File(t.Context(), path, ingest.Meta{AsIs: true}, nil)
			if err != nil {
				t.Fatal(say.In(say.English, err))
			}
			got := res.Figures.Missing
			if len(got) != len(c.want) {
				t.Fatalf("missing %v, want %v", got, c.want)
			}
			for i, w := range c.want {
				near := func(a, b float64) bool { return math.Abs(a-b) < 0.8 && (b != 0 || a == 0) && (a > 0 || b <= 0) }
				if g := got[i]; math.Abs(g.At-w.At) > 0.8 || !near(g.Seconds, w.Seconds) || !near(g.Of, w.Of) {
					t.Errorf("missing %v, want %v", got, c.want)
				}
			}
			if len(res.Figures.Warnings()) < len(got) || res.Figures.Damaged() == nil {
				t.Errorf("warnings %v, %v", res.Figures.Warnings(), res.Figures.Damaged())
			}
			// What is there and what is missing are the whole, but for the silence
			// that was cut; in AAC, the number of bytes tells it only roughly.
			if n := len(decoded(t, res.Path)); got[len(got)-1].Seconds > 0 {
				f := res.Figures
				if sum := float64(n)/rate + got.Seconds() + f.TrimmedHead + f.TrimmedTail; math.Abs(sum-6) > 0.3 && c.out != "in.aac" {
					t.Errorf("%.2f s are there, %.2f s are missing of 6 s", float64(n)/rate, got.Seconds())
				}
			}
		})
	}
}

func TestTheWordsForWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		gaps   ingest.Damage
		zh, en string
	}{
		{ingest.Damage{{At: 15.24, Seconds: 15.26, Of: 30.5}}, "从 0:15.2 起缺 15.3 秒：文件头写的是 30.5 秒", "from 0:15.2 on 15.3 s are missing: its header says 30.5 s"},
		{ingest.Damage{{At: 12.3, Seconds: 2.5}}, "缺 2.5 秒（在 0:12.3 处）", "2.5 s are missing at 0:12.3"},
		{ingest.Damage{{At: 3723}}, "到 1:02:03.0 就断了，后面缺多少不知道", "it breaks off at 1:02:03.0, and how much is missing is not known"},
		{ingest.Damage{{At: 59.96, Seconds: 1}, {At: 70, Seconds: 1}, {At: 80, Seconds: 1}, {At: 90, Seconds: 1}, {At: 95, Seconds: 1}},
			"缺 1.0 秒（在 1:00.0 处）；缺 1.0 秒（在 1:10.0 处）；缺 1.0 秒（在 1:20.0 处）；另外还有 2 处",
			"1.0 s are missing at 1:00.0; 1.0 s are missing at 1:10.0; 1.0 s are missing at 1:20.0; and in 2 more places"},
	} {
		err := c.gaps.Err()
		if refused(t, err); !strings.Contains(say.In(say.Chinese, err), c.zh) || !strings.Contains(say.In(say.English, err), c.en) {
			t.Errorf("reads %q and %q", say.In(say.Chinese, err), say.In(say.English, err))
		}
	}
	for _, few := range []ingest.Damage{nil, {{At: 1, Seconds: 1}}, {{At: 1, Seconds: 0.5}, {At: 2, Seconds: 0.5}}} {
		if err := few.Err(); err != nil {
			t.Errorf("%v is refused: %v", few, err)
		}
	}
}

func TestASourceThatLacksLittleIsTakenWithAWarning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wav := talk(t, dir)
	hole := filepath.Join(dir, "hole.mp3")
	write(t, hole, blank(0.5, 6000)(read(t, ffmpeg(t, wav, "in.mp3", "-b:a", "64k"))))
	end := filepath.Join(dir, "end.mp3")
	write(t, end, half(0.9)(read(t, ffmpeg(t, wav, "in.mp3", "-b:a", "64k"))))
	cut := filepath.Join(dir, "cut.mp3")
	write(t, cut, half(0.5)(read(t, ffmpeg(t, wav, "in.mp3", "-b:a", "64k", "-write_xing", "0"))))
	for path, want := range map[string]string{
		hole: "mind: of the source, 0.8 s are missing at 0:03.0; listen to the clip",
		end:  "mind: of the source, from 0:05.4 on 0.6 s are missing: its header says 6.0 s; listen to the clip",
		cut:  "mind: the source ends inside a frame at 0:03.0, so its end may be missing; listen to the clip",
	} {
		res, err := ingester(t).File(t.Context(), path, ingest.Meta{}, nil)
		if err != nil {
			t.Errorf("%s: %s", filepath.Base(path), say.In(say.English, err))
			continue
		}
		all := res.Figures.Warnings()
		if !slices.ContainsFunc(all, func(m say.Message) bool { return m.In(say.English) == want }) {
			t.Errorf("%s: warnings %q, want %q", filepath.Base(path), all, want)
		}
		// If more of it may still come, it is waited for.
		if _, err := ingester(t).Take(t.Context(), ingest.Item{Path: path, Arriving: true}, newShelf(t), nil); refused(t, err) != "ingest.incomplete" {
			t.Errorf("%s, still arriving: %v", filepath.Base(path), err)
		}
	}
}

func TestTheSidecarSaysThatADamagedFileIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "spoilt.mp3")
	write(t, path, half(0.5)(read(t, ffmpeg(t, talk(t, dir), "in.mp3", "-b:a", "64k"))))
	g, s := ingester(t), newShelf(t)
	if _, err := g.Take(t.Context(), ingest.Item{Path: path}, s, nil); refused(t, err) != "ingest.incomplete" || s.added != 0 {
		t.Errorf("%v", err)
	}
	write(t, filepath.Join(dir, "spoilt.toml"), []byte("as_is = \"yes\"\n"))
	if _, err := g.Take(t.Context(), ingest.Item{Path: path}, s, nil); !strings.HasPrefix(say.In(say.English, err), "spoilt.toml, line 1: as_is must be true or false") {
		t.Errorf("%v", err)
	}
	write(t, filepath.Join(dir, "spoilt.toml"), []byte("as_is = true\n"))
	out, err := g.Take(t.Context(), ingest.Item{Path: path}, s, nil)
	if err != nil || s.added != 1 || math.Abs(out.Clip.Length().Seconds()-3) > 0.4 {
		t.Errorf("%+v, %v", out.Clip, err)
	}
}

// A file that is whole is not damaged, whatever wrote it.
func TestAWholeFileLacksNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wav := talk(t, dir)
	piped := func(format string, args ...string) string { // without a way back to the header
		path := filepath.Join(dir, "piped."+format)
		run(t, "sh", "-c", "ffmpeg -v error -i \"$0\" "+strings.Join(args, " ")+" -f "+format+" - | cat > \"$1\"", wav, path)
		return path
	}
	paths := []string{
		piped("wav"), piped("flac"), piped("au"), piped("mp3"), piped("adts"), piped("ogg"), piped("asf"), piped("matroska"), piped("mpegts", "-c:a", "aac"),
		ffmpeg(t, wav, "a.avi", "-c:a", "libmp3lame"), ffmpeg(t, wav, "b.mp4", "-movflags", "frag_keyframe+empty_moov", "-c:a", "aac"),
		ffmpeg(t, wav, "c.mp4", "-f", "lavfi", "-i", "testsrc=s=160x120:d=20", "-c:a", "aac"),
		sox("d.amr-nb", "-r", "8000", "-c", "1")(t, wav), lame("-V", "6", "--tt", "x", "--add-id3v2")(t, wav),
	}
	for _, path := range paths {
		res, err := ingester(t).File(t.Context(), path, ingest.Meta{}, nil)
		if err != nil {
			t.Errorf("%s: %s", filepath.Base(path), say.In(say.English, err))
			continue
		}
		if f := res.Figures; len(f.Missing) > 0 || f.Faults > 0 || len(f.Warnings()) > 0 {
			t.Errorf("%s: %v, %d faults, %v", filepath.Base(path), f.Missing, f.Faults, f.Warnings())
		}
	}
}

func TestJoinedFilesAreTakenWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := synth(3, murmur(0.3)), synth(2, chords)
	a, b := record(t, filepath.Join(dir, "a.wav"), first), record(t, filepath.Join(dir, "b.wav"), second)
	id3 := append([]byte("ID3\x03\x00\x00\x00\x00\x08\x00"), make([]byte, 1024)...)
	id3v1 := append([]byte("TAG\xbd\xa1\xbf\xb5"), make([]byte, 121)...)
	bare := []string{"-write_xing", "0", "-id3v2_version", "0"}
	n := 0
	enc := func(wav, ext string, args ...string) []byte {
		n++
		return read(t, ffmpeg(t, wav, "part"+string(rune('a'+n))+ext, args...))
	}
	at44, at22 := enc(a, ".mp3", "-ar", "44100", "-b:a", "64k"), enc(a, ".mp3", "-ar", "22050", "-b:a", "48k")
	for _, c := range []struct {
		name, ext string
		parts     [][]byte
	}{
		{"44.1 and 48 kHz", ".mp3", [][]byte{at44, enc(b, ".mp3", "-ar", "48000", "-b:a", "64k")}},
		{"22.05 and 48 kHz", ".mp3", [][]byte{at22, enc(b, ".mp3", "-ar", "48000", "-b:a", "64k")}},
		{"48 and 44.1 kHz, without headers", ".mp3", [][]byte{enc(a, ".mp3", bare...), enc(b, ".mp3", append([]string{"-ar", "44100"}, bare...)...)}},
		{"only the first has a header", ".mp3", [][]byte{at44, enc(b, ".mp3", append([]string{"-ar", "44100"}, bare...)...)}},
		{"one channel and two", ".mp3", [][]byte{at44, enc(b, ".mp3", "-ar", "44100", "-ac", "2")}},
		{"two channels and one", ".mp3", [][]byte{enc(a, ".mp3", "-ar", "44100", "-ac", "2"), enc(b, ".mp3", "-ar", "32000")}},
		{"tags between them", ".mp3", [][]byte{id3, at44, id3v1, id3, enc(b, ".mp3", "-ar", "48000"), id3v1}},
		{"constant and variable rate", ".mp3", [][]byte{at44, enc(b, ".mp3", "-ar", "44100", "-q:a", "5")}},
		{"two AAC files", ".aac", [][]byte{enc(a, ".aac"), enc(b, ".aac", "-ar", "22050", "-ac", "2")}},
		{"two Ogg files", ".ogg", [][]byte{enc(a, ".ogg", "-c:a", "libvorbis"), enc(b, ".ogg", "-c:a", "libvorbis")}},
		{"two Opus files", ".opus", [][]byte{enc(a, ".opus", "-c:a", "libopus"), enc(b, ".opus", "-c:a", "libopus")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "joined"+c.ext)
			write(t, path, bytes.Join(c.parts, nil))
			res, err := ingester(t).File(t.Context(), path, ingest.Meta{}, nil)
			if err != nil {
				t.Fatal(say.In(say.English, err))
			}
			f := res.Figures
			if len(f.Missing) > 0 || f.Faults > 0 || len(f.Warnings()) > 0 {
				t.Errorf("%v, %d faults, %v", f.Missing, f.Faults, f.Warnings())
			}
			clip := decoded(t, res.Path)
			if d := float64(len(clip))/rate + f.TrimmedHead + f.TrimmedTail - 5; d < -0.05 || d > 0.3 {
				t.Errorf("the clip is longer than its sources by %.2f s", d)
			}
			// Both parts are there, each a little late by the coding of its source.
			clip = smooth(clip)
			for i, part := range [][]float64{first[rate/2 : 5*rate/2], second[rate/2 : 3*rate/2]} {
				from, best := int((float64(3*i)+0.5-f.TrimmedHead)*rate), 0.0
				part = smooth(part)
				for lag := -rate / 20; lag < rate/4 && best < 0.9; lag += 4 {
					if from+lag+rate/2 < len(clip) && math.Abs(correlates(part[:rate/4], clip, from+lag)) > 0.8 {
						best = max(best, correlates(part, clip, from+lag))
					}
				}
				if best < 0.85 {
					t.Errorf("part %d is like its source to %.2f only", i+1, best)
				}
			}
		})
	}
}

func TestADamagedSoundOfAnAlertBecomesAClipThatSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mp3 := read(t, ffmpeg(t, talk(t, dir), "in.mp3", "-b:a", "64k"))
	s := newShelf(t)
	clips := ingest.AlertClips{Ingester: ingester(t), Shelve: s.AddClip}
	for name, c := range map[string]struct {
		data    []byte
		damaged bool
		seconds float64
	}{
		"whole": {mp3, false, 6},
		"half":  {mp3[:len(mp3)/2], true, 3},
	} {
		clip, figures, err := clips.Convert(t.Context(), emergency.Alert{}, emergency.Audio{Name: name + ".mp3", Data: c.data})
		if err != nil || math.Abs(clip.Length().Seconds()-c.seconds) > 0.4 || s.clips[clip.ID].Frames != clip.Frames {
			t.Errorf("%s: %v long, %v", name, clip.Length(), err)
		}
		if (figures.Damaged() != nil) != c.damaged || (len(figures.Warnings()) > 0) != c.damaged {
			t.Errorf("%s: damaged %v, %v", name, figures.Damaged(), figures.Warnings())
		}
		if len(decoded(t, filepath.Join(s.dir, string(clip.ID)))) != int(clip.Frames) {
			t.Errorf("%s: the clip is not on the shelf", name)
		}
	}
}
