package alert

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"dalaba/playlist/say"
)

// Limits of a package. Two minutes of sound at 320 kbit/s are 4.8 MB; some senders
// send uncompressed WAV.
const (
	MaxTar     = 48 << 20
	MaxMember  = 32 << 20
	MaxMembers = 64
	maxFile    = 200 // bytes of a member's name
	tarBlock   = 512
)

// member is one file of a package.
type member struct {
	name string
	data []byte
}

// parseTar reads an EBD package.
func parseTar(raw []byte, o Options) (Message, error) {
	var r report
	members, err := readTar(raw, &r)
	if err != nil {
		return Message{}, err
	}
	var body *member
	for i, m := range members {
		if !strings.HasPrefix(m.name, "EBDB_") {
			continue
		}
		if body != nil {
			return Message{}, refuse(ErrInvalid, say.M("alert.tar_bodies", printable(body.name), printable(m.name)))
		}
		body = &members[i]
	}
	if body == nil {
		return Message{}, refuse(ErrMissing, say.M("alert.tar_no_body"))
	}
	doc, err := readXML(body.data, &r)
	if err != nil {
		return Message{}, err
	}
	if doc.root.name != "EBD" {
		return Message{}, refuse(ErrInvalid, say.M("alert.ebd_root", printable(doc.root.qualified())))
	}
	m, err := parseEBD(doc, &ebdPackage{body: *body, members: members}, o, &r)
	if err != nil {
		return Message{}, err
	}
	m.Unended = !ended(raw)
	return m.withReport(raw, &r), nil
}

// ended reports whether a package ends as a tar should: in a block of zeros.
func ended(raw []byte) bool {
	return len(raw) >= tarBlock && len(bytes.Trim(raw[len(raw)-tarBlock:], "\x00")) == 0
}

// readTar reads all members, within the limits.
func readTar(raw []byte, r *report) ([]member, error) {
	if len(raw) > MaxTar {
		return nil, refuse(ErrTooLarge, say.M("alert.tar_big", mib(int64(len(raw))), mib(MaxTar)))
	}
	archive := tar.NewReader(bytes.NewReader(raw))
	var members []member
	for n := 0; ; n++ {
		h, err := archive.Next()
		if err == io.EOF && n > 0 {
			return members, nil
		}
		if err != nil {
			return nil, tarError(err, n, len(raw))
		}
		if n == MaxMembers {
			return nil, refuse(ErrTooLarge, say.M("alert.tar_many", MaxMembers))
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		name := strings.TrimPrefix(h.Name, "./")
		if err := checkMember(h, name, members); err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(archive, MaxMember+1))
		if err != nil {
			return nil, refuse(ErrTruncated, say.M("alert.tar_cut"))
		}
		if !strings.HasPrefix(name, "EBDB_") && !strings.HasPrefix(name, "EBDS_") && !strings.HasPrefix(name, "EBDR_") {
			r.note("alert.tar_stranger", printable(name))
		}
		members = append(members, member{name, data})
	}
}

// tarError returns the refusal for a header that cannot be read: header number n, from
// 0, of a package of size bytes.
func tarError(err error, n, size int) error {
	switch {
	case n == 0 && (err == io.EOF || size < tarBlock):
		return refuse(ErrUnknown, say.M("alert.unknown"))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(ErrTruncated, say.M("alert.tar_cut"))
	case n == 0:
		return refuse(ErrUnknown, say.M("alert.unknown"))
	}
	return refuse(ErrInvalid, say.M("alert.tar_broken", printable(err.Error())))
}

// checkMember checks the header of a member against the members before it and the
// limits of a package.
func checkMember(h *tar.Header, name string, before []member) error {
	switch {
	case h.Typeflag != tar.TypeReg && h.Typeflag != 0:
		return refuse(ErrInvalid, say.M("alert.tar_special", printable(name)))
	case len(name) > maxFile || name != path.Base(path.Clean("/"+name)) || strings.ContainsAny(name, `\`):
		return refuse(ErrInvalid, say.M("alert.tar_name", printable(name)))
	case h.Size > MaxMember:
		return refuse(ErrTooLarge, say.M("alert.tar_member", printable(name), mib(h.Size), mib(MaxMember)))
	case slices.ContainsFunc(before, func(m member) bool { return m.name == name }):
		return refuse(ErrInvalid, say.M("alert.tar_twice", printable(name)))
	}
	// A sparse member may expand to more bytes than the package has. So limit the sum
	// of all members as well.
	if sum := total(before) + h.Size; sum > MaxTar {
		return refuse(ErrTooLarge, say.M("alert.tar_big", mib(sum), mib(MaxTar)))
	}
	return nil
}

func total(members []member) (n int64) {
	for _, m := range members {
		n += int64(len(m.data))
	}
	return n
}

// writeTar writes a tar of the members. The bytes are always the same for the same
// members and time.
func writeTar(at time.Time, members ...member) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		h := tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o644, ModTime: at.Truncate(time.Second), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := w.Write(m.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
