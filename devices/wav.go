package devices

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

const (
	headerSize = 44
	maxFrames  = (1<<31 - 1 - headerSize) / 2 // many readers read sizes as signed
)

// wavHeader returns the canonical header of a mono S16 file at playlist.Rate.
func wavHeader(frames int64) []byte {
	h := make([]byte, 0, headerSize)
	h = append(h, "RIFF"...)
	h = binary.LittleEndian.AppendUint32(h, uint32(headerSize-8+2*frames))
	h = append(h, "WAVEfmt "...)
	h = binary.LittleEndian.AppendUint32(h, 16)
	h = binary.LittleEndian.AppendUint16(h, 1) // PCM
	h = binary.LittleEndian.AppendUint16(h, 1) // mono
	h = binary.LittleEndian.AppendUint32(h, playlist.Rate)
	h = binary.LittleEndian.AppendUint32(h, 2*playlist.Rate)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 16)
	h = append(h, "data"...)
	return binary.LittleEndian.AppendUint32(h, uint32(2*frames))
}

type wavFile struct {
	f      *os.File
	frames int64
}

func openWAV(path string, o Options) (Device, error) {
	if path == "" {
		return nil, fault{playlist.ErrInvalid, say.M("device.wav_path")}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, say.M("device.wav_open", path, cause(err))
	}
	w, err := openWAVFile(path)
	if errors.Is(err, ErrFull) {
		var aside string
		if aside, err = setAside(path); err == nil {
			o.log().Info("recording set aside", "file", aside)
			w, err = openWAVFile(path)
		}
	}
	if err != nil {
		return nil, err
	}
	return &paced{file: w, base: w.frames, consumed: w.frames}, nil
}

func openWAVFile(path string) (_ *wavFile, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, say.M("device.wav_open", path, cause(err))
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, say.M("device.wav_open", path, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fault{ErrForeign, say.M("device.wav_foreign", path)}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fault{ErrBusy, say.M("device.wav_busy", path)}
	}
	head := make([]byte, headerSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, say.M("device.wav_open", path, cause(err))
	}
	if !ours(head[:n]) {
		return nil, fault{ErrForeign, say.M("device.wav_foreign", path)}
	}
	w := &wavFile{f: f, frames: max(0, info.Size()-headerSize) / 2}
	if w.frames >= maxFrames-playlist.Rate {
		return nil, w.full()
	}
	// A crash may have left half a frame or a header after the data.
	if err := f.Truncate(headerSize + 2*w.frames); err != nil {
		return nil, say.M("device.wav_open", path, cause(err))
	}
	if _, err := f.WriteAt(wavHeader(w.frames), 0); err != nil {
		return nil, say.M("device.wav_open", path, cause(err))
	}
	return w, nil
}

// ours reports whether a file begins with our header, whatever sizes the header
// holds. If power failed while the file was made, the beginning of a header is
// enough.
func ours(head []byte) bool {
	want := wavHeader(0)
	for _, at := range []int{4, headerSize - 4} {
		if len(head) >= at+4 {
			copy(want[at:], head[at:at+4])
		}
	}
	return bytes.HasPrefix(want, head)
}

// setAside renames a full file to a name that is not in use.
func setAside(path string) (string, error) {
	ext := filepath.Ext(path)
	for now := time.Now().UTC(); ; now = now.Add(time.Second) {
		aside := strings.TrimSuffix(path, ext) + now.Format("-20060102T150405Z") + ext
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			if err := os.Rename(path, aside); err != nil {
				return "", say.M("device.wav_open", path, cause(err))
			}
			return aside, nil
		}
	}
}

func (w *wavFile) full() error {
	return fault{ErrFull, say.M("device.wav_full", w.f.Name())}
}

func (w *wavFile) append(frames []int16) error {
	if len(frames) == 0 {
		return nil
	}
	if _, err := w.f.WriteAt(littleEndian(frames), headerSize+2*w.frames); err != nil {
		return say.M("device.wav_write", w.f.Name(), cause(err))
	}
	w.frames += int64(len(frames))
	if _, err := w.f.WriteAt(wavHeader(w.frames), 0); err != nil {
		return say.M("device.wav_write", w.f.Name(), cause(err))
	}
	return nil
}

// littleEndian returns the frames as they are in memory: every machine that
// dalaba is built for has the byte order of a WAV file. A loop over the samples
// took a quarter of the time of a program that records.
func littleEndian(frames []int16) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(frames))), 2*len(frames))
}

// cause returns the error without the path, which the sentence already names.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
