package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mpd is a Music Player Daemon, started by us, that plays on one card.
type mpd struct {
	*child
	socket string
}

// startMPD starts a Music Player Daemon with the files queued.
func (b *bench) startMPD(ctx context.Context, name, card, env string, files ...string) (*mpd, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	m := &mpd{socket: filepath.Join(dir, "socket")}
	config := filepath.Join(dir, "mpd.conf")
	text := fmt.Sprintf("bind_to_address %q\nzeroconf_enabled \"no\"\n"+
		"audio_output {\n type \"alsa\"\n name %q\n device %q\n mixer_type \"none\"\n}\n", m.socket, card, card)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	var err error
	if m.child, err = launch(ctx, env, "mpd", "--no-daemon", "--stderr", config); err != nil {
		return nil, err
	}
	var orders []string
	for _, file := range files {
		orders = append(orders, fmt.Sprintf("add %q", "file://"+file))
	}
	for end := time.Now().Add(grace); ; {
		if err = m.do(orders...); err == nil {
			return m, nil
		}
		if !errors.Is(err, errNoMPD) || time.Now().After(end) || wait(ctx, 10*time.Millisecond) != nil {
			return nil, errors.Join(err, m.end())
		}
	}
}

var errNoMPD = errors.New("mpd is not there")

// do connects and sends commands of MPD's own protocol, all at once.
func (m *mpd) do(orders ...string) error {
	conn, err := net.Dial("unix", m.socket)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoMPD, err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(grace)); err != nil {
		return err
	}
	text := "command_list_begin\n" + strings.Join(orders, "\n") + "\ncommand_list_end\n"
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	for s := bufio.NewScanner(conn); s.Scan(); {
		switch line := s.Text(); {
		case line == "OK":
			return nil
		case strings.HasPrefix(line, "ACK"):
			return fmt.Errorf("mpd: %s", line)
		}
	}
	return errors.New("mpd broke off")
}
