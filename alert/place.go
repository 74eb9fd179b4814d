package alert

import (
	"strconv"
	"strings"

	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// drawing is a polygon or a circle of a CAP area, as it was read.
type drawing struct {
	name  string // of its element
	text  string // as it stands there
	shape emergency.Shape
	fault error        // why it cannot be read: then there is no shape
	told  *say.Message // what was tolerated or mended
}

// drawings reads the shapes of an area. An empty element draws nothing.
func drawings(area *node) (all []drawing) {
	for _, kind := range []struct {
		name string
		read func(string) (emergency.Shape, *say.Message, error)
	}{{"polygon", polygon}, {"circle", circle}} {
		for _, k := range area.all(kind.name) {
			if k.trimmed() == "" {
				continue
			}
			d := drawing{name: kind.name, text: k.trimmed()}
			d.shape, d.told, d.fault = kind.read(k.text)
			all = append(all, d)
		}
	}
	return all
}

// polygon reads "lat,lon" pairs separated by blanks. At least three of them must be
// different, and not on one line. If the last does not equal the first, the polygon is
// closed between them.
func polygon(text string) (s emergency.Shape, told *say.Message, err error) {
	fields := strings.Fields(text)
	different := map[[2]float64]bool{}
	for _, f := range fields {
		p, err := point(f)
		if err != nil {
			return s, nil, err
		}
		s.Points = append(s.Points, p)
		different[p] = true
	}
	if len(different) < 3 {
		return s, nil, say.M("alert.shape_few", len(different))
	}
	if flat(s.Points) {
		return s, nil, say.M("alert.shape_flat")
	}
	last := len(s.Points) - 1
	if s.Points[0] != s.Points[last] {
		s.Points = append(s.Points, s.Points[0])
		m := say.M("alert.shape_open", fields[0], fields[last])
		return s, &m, nil
	}
	if crosses(s.Points) {
		m := say.M("alert.shape_crosses")
		return s, &m, nil
	}
	return s, nil, nil
}

// flat reports whether points lie on one line: then they enclose nothing.
func flat(points [][2]float64) bool {
	a, b := points[0], points[0]
	for _, p := range points {
		switch {
		case a == b:
			b = p
		case side(a, b, p) != 0:
			return false
		}
	}
	return true
}

// side is above zero if p lies left of the line from a to b, below if right of it.
func side(a, b, p [2]float64) float64 {
	return (b[0]-a[0])*(p[1]-a[1]) - (b[1]-a[1])*(p[0]-a[0])
}

// mostCorners is the largest number of points of a polygon that is looked at for
// crossing edges. It is only a remark: what such a polygon encloses counts all the same.
const mostCorners = 200

// crosses reports whether two edges of a closed polygon cross.
func crosses(points [][2]float64) bool {
	if len(points) > mostCorners {
		return false
	}
	for i := 1; i < len(points); i++ {
		for j := i + 1; j < len(points); j++ {
			a, b, c, d := points[i-1], points[i], points[j-1], points[j]
			if side(a, b, c)*side(a, b, d) < 0 && side(c, d, a)*side(c, d, b) < 0 {
				return true
			}
		}
	}
	return false
}

// circle reads "lat,lon radius", with the radius in kilometres.
func circle(text string) (s emergency.Shape, told *say.Message, err error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return s, nil, say.M("alert.shape_circle", printable(text))
	}
	p, err := point(fields[0])
	if err != nil {
		return s, nil, err
	}
	radius, err := number(fields[1])
	if err != nil || radius < 0 || radius > 20_040 { // half the circumference of the earth
		return s, nil, say.M("alert.shape_circle", printable(text))
	}
	return emergency.Shape{Points: [][2]float64{p}, RadiusKM: radius}, nil, nil
}

func point(s string) ([2]float64, error) {
	lat, lon, ok := strings.Cut(s, ",")
	if !ok {
		return [2]float64{}, say.M("alert.shape_point", printable(s))
	}
	y, yErr := number(lat)
	x, xErr := number(lon)
	if yErr != nil || xErr != nil {
		return [2]float64{}, say.M("alert.shape_point", printable(s))
	}
	if y < -90 || y > 90 || x < -180 || x > 180 {
		return [2]float64{}, say.M("alert.shape_range", printable(s))
	}
	return [2]float64{y, x}, nil
}

// number reads a plain decimal number, without exponent, hex or infinity.
func number(s string) (float64, error) {
	if !decimalForm.MatchString(s) || len(s) > 40 {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}
