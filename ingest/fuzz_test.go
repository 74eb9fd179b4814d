package ingest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"dalaba/ingest"
	"dalaba/playlist/say"
)

// FuzzTagged reads the tags of files whose heads are damaged or lie: what each block of
// a head claims to hold may be far more than there is. The program that reads them is a
// child; what comes back is words for an operator, or metadata of a line each.
func FuzzTagged(f *testing.F) {
	dir := f.TempDir()
	wav := filepath.Join(dir, "tone.wav")
	run(f, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=0.2:r=8000", "-ac", "1", "-metadata", "title=abcdef", wav)
	for _, name := range []string{"a.flac", "a.mp3", "a.ogg", "a.m4a", "a.wma"} {
		file := filepath.Join(dir, name)
		run(f, "ffmpeg", "-v", "error", "-i", wav, "-metadata", "title=题目", "-metadata", "album=集", "-metadata", "track=7/12", file)
		b := read(f, file)
		f.Add(b)
		switch name {
		case "a.flac":
			picture := append([]byte{6, 0, 0, 16, 0, 0, 0, 3}, "\xff\xff\xff\xffimage/jpg..."[:12]...) // its media type has 4 GiB, it says
			f.Add(append(append(b[:42:42], picture...), b[42:]...))
			f.Add(append(append(b[:42:42], 4, 0xff, 0xff, 0xff), b[42:]...)) // comments of 16 MiB
		case "a.mp3":
			long := bytes.Clone(b)
			copy(long[6:10], "\x7f\x7f\x7f\x7f") // a tag of 256 MiB
			f.Add(long)
			if i := bytes.Index(b, []byte("TIT2")); i > 0 {
				frame := bytes.Clone(b)
				binary.BigEndian.PutUint32(frame[i+4:], 0x7f7f7f7f)
				f.Add(frame)
			}
		case "a.m4a":
			if i := bytes.Index(b, []byte("ilst")); i > 4 {
				atom := bytes.Clone(b)
				binary.BigEndian.PutUint32(atom[i-4:], 0xfffffff0)
				f.Add(atom)
			}
		}
	}
	f.Add(bytes.Replace(read(f, wav), []byte("abcdef"), []byte("\xc4\xa3\xc4\xe2\xb8\xd0"), 1)) // GBK
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		f.Fatal(err)
	}
	g := importer(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "in")
		write(t, path, raw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		tags, err := g.Tags(t.Context(), probe, path)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%d bytes of ours for a file of %d", used, len(raw))
		}
		if err != nil {
			if !errors.Is(err, ingest.ErrRefused) || say.In(say.Chinese, err) == "" {
				t.Errorf("%v is not fit for an operator", err)
			}
			return
		}
		for _, text := range []string{tags.Title, tags.Series} {
			if bytes.ContainsAny([]byte(text), "\n\r\x00\x1b") || len([]rune(text)) > 200 {
				t.Errorf("%q is no line", text)
			}
		}
		if tags.Issue < 0 || tags.Issue > ingest.MaxIssue {
			t.Errorf("issue %d", tags.Issue)
		}
	})
}
