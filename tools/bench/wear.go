package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const airingsADay = 50

//go:embed preload/syncs.c
var syncsSource []byte

// wear measures what a day of 50 airings of a minute writes to the disk. Two
// daemons run at the same time: one airs a clip of a minute every other minute,
// and one has nothing to air. The second shows what a day costs in any case;
// the difference is the cost of the airings. They run for longer than the
// longest pause that the daemon makes between two writes, except for the daily
// backup, which is as large as the database and is added. Bytes are those that
// the kernel writes to the disk (write_bytes of /proc/PID/io, whole pages), so
// the folder must not be in memory; what the flash itself writes in addition,
// no program can see. An underrun, which a busy machine causes, is a line in
// the device log and is written at once: if there were any, the figures are too
// high, and their names say so.
func (b *bench) wear(ctx context.Context) (figures []Figure, err error) {
	length, every := 21*time.Minute, "*/2 * * * *"
	if b.short {
		length, every = 20*time.Second, "*/10 * * * * *"
	}
	counter, err := b.syncCounter(ctx)
	if err != nil {
		return nil, err
	}
	reel, err := b.reel("minute.mp3", time.Minute)
	if err != nil {
		return nil, err
	}
	var daemons []*daemon
	defer func() { err = errors.Join(err, endAll(daemons)) }()
	var counts []string
	for _, name := range []string{"wear-airs", "wear-rests"} {
		s, err := b.newSite(name)
		if err != nil {
			return nil, err
		}
		s.output("pole", "null:")
		s.text.WriteString("idle = \"close\"\n") // so that silence has no underruns
		if name == "wear-airs" {
			if !b.short {
				if err := onlyClip(s, reel); err != nil {
					return nil, err
				}
			}
			s.slot("often", every, "")
		}
		config, err := s.config()
		if err != nil {
			return nil, err
		}
		syncs := filepath.Join(b.dir, name+".syncs")
		d, err := b.startDaemon(ctx, config, "LD_PRELOAD="+counter, "SYNCS="+syncs)
		if err != nil {
			return nil, err
		}
		daemons, counts = append(daemons, d), append(counts, syncs)
		if _, err := d.waitForLog(ctx, "backup made", 1); err != nil { // after that the day is like any other
			return nil, err
		}
	}
	if _, err := daemons[0].waitForLog(ctx, `msg="clip ended"`, 1); err != nil {
		return nil, err
	}
	look := func() (all [2]written, err error) {
		for i, d := range daemons {
			if all[i], err = writtenBy(d.cmd.Process.Pid, counts[i]); err != nil {
				return all, err
			}
		}
		return all, nil
	}
	before, err := look()
	if err != nil {
		return nil, err
	}
	began, aired := time.Now(), daemons[0].count(`msg="clip ended"`)
	underruns := daemons[0].count("msg=underrun") + daemons[1].count("msg=underrun")
	if err := wait(ctx, length); err != nil {
		return nil, err
	}
	// Until the end of an airing, so that whole airings are counted.
	if _, err := daemons[0].waitForLog(ctx, `msg="clip ended"`, daemons[0].count(`msg="clip ended"`)+1); err != nil {
		return nil, err
	}
	after, err := look()
	if err != nil {
		return nil, err
	}
	aired = daemons[0].count(`msg="clip ended"`) - aired
	broken := daemons[0].count("msg=underrun") + daemons[1].count("msg=underrun") - underruns
	backup, err := os.Stat(filepath.Join(b.dir, "wear-airs", "data", "dalaba.db"))
	if err != nil {
		return nil, err
	}
	days := float64(24*time.Hour) / float64(time.Since(began))
	airs, rests := after[0].less(before[0]), after[1].less(before[1])
	if airs.bytes == 0 {
		return nil, fmt.Errorf("%s lies in memory: no disk was written; set TMPDIR", b.dir)
	}
	one := airs.less(rests).over(float64(aired))
	idle := rests.over(1 / days)
	day := idle.plus(one.over(1.0 / airingsADay)).plus(written{float64(backup.Size()), 2})
	clip := "one minute"
	if b.short {
		clip = "some seconds"
	}
	const mb, kib = 1e6, 1 << 10
	return []Figure{
		figure(fmt.Sprintf("flash: written in a day of %d airings", airingsADay), day.bytes/mb, "MB", "the same daemon with nothing to air", idle.bytes/mb, aired),
		figure(fmt.Sprintf("flash: fsyncs in a day of %d airings", airingsADay), day.syncs, "", "the same daemon with nothing to air", idle.syncs, aired),
		figure("flash: written for an airing of "+clip, one.bytes/kib, "KiB", "", 0, aired),
		figure("flash: fsyncs for an airing of "+clip, one.syncs, "", "", 0, aired),
		figure("flash: underruns meanwhile, in the figures too", float64(broken), "", "", 0, aired),
	}, nil
}

// onlyClip makes the clip at path the only one of a site.
func onlyClip(s *site, path string) error {
	dir := filepath.Join(s.dir, "clips")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Rename(path, filepath.Join(dir, filepath.Base(path)))
}

// written is what a process has written to the disk.
type written struct{ bytes, syncs float64 }

func (w written) less(o written) written { return written{w.bytes - o.bytes, w.syncs - o.syncs} }
func (w written) plus(o written) written { return written{w.bytes + o.bytes, w.syncs + o.syncs} }
func (w written) over(n float64) written { return written{w.bytes / n, w.syncs / n} }

func writtenBy(pid int, syncs string) (w written, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "io"))
	if err != nil {
		return w, err
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	if _, err := fmt.Sscan(rest, &w.bytes); err != nil {
		return w, err
	}
	n, err := os.ReadFile(syncs)
	if err == nil && len(n) < 8 {
		err = errors.New("the daemon's fsyncs are not counted")
	}
	if err != nil {
		return w, err
	}
	w.syncs = float64(binary.NativeEndian.Uint64(n))
	return w, nil
}

// syncCounter builds the library that counts a program's fsyncs.
func (b *bench) syncCounter(ctx context.Context) (string, error) {
	source, lib := filepath.Join(b.dir, "syncs.c"), filepath.Join(b.dir, "syncs.so")
	if err := os.WriteFile(source, syncsSource, 0o600); err != nil {
		return "", err
	}
	cc := strings.Fields(cmp.Or(os.Getenv("CC"), "gcc"))
	args := append(cc[1:], "-Wall", "-Werror", "-shared", "-fPIC", "-o", lib, source, "-ldl")
	if said, err := exec.CommandContext(ctx, cc[0], args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cc[0], err, said)
	}
	return lib, nil
}
