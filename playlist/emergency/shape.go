package emergency

import (
	"math"

	"dalaba/playlist"
)

const earthKM = 6371.0088 // mean radius, IUGG

// Holds reports whether a place lies in the shape. A circle is measured along
// the great circle; a polygon's edges are straight on a map of latitude and
// longitude, and may cross the 180th meridian, and each other: the place lies in
// the polygon if its edges go round it at all.
func (s Shape) Holds(p playlist.Place) bool {
	if len(s.Points) == 0 {
		return false
	}
	if s.RadiusKM > 0 || len(s.Points) == 1 {
		return distanceKM(playlist.Place{Lat: s.Points[0][0], Lon: s.Points[0][1]}, p) <= s.RadiusKM
	}
	// Longitudes go on from the point before, past 180 degrees if they must.
	lons := make([]float64, len(s.Points))
	for i, q := range s.Points {
		lons[i] = q[1]
		if i > 0 {
			lons[i] = lons[i-1] + east(q[1], s.Points[i-1][1])
		}
	}
	for _, turn := range []float64{-360, 0, 360} {
		if s.encloses(lons, p.Lat, p.Lon+turn) {
			return true
		}
	}
	return false
}

// encloses counts the turns of the edges round the place (the winding number), by
// the edges that pass east of it northward and southward.
func (s Shape) encloses(lons []float64, lat, lon float64) bool {
	turns := 0
	for i, j := 0, len(lons)-1; i < len(lons); j, i = i, i+1 {
		a, b := s.Points[i][0], s.Points[j][0]
		if (a > lat) == (b > lat) || lon >= (lons[j]-lons[i])*(lat-a)/(b-a)+lons[i] {
			continue
		}
		if a > lat {
			turns++
		} else {
			turns--
		}
	}
	return turns != 0
}

// east is how far a longitude lies east of another, -180 to 180 degrees.
func east(lon, of float64) float64 { return math.Mod(lon-of+540, 360) - 180 }

func distanceKM(a, b playlist.Place) float64 {
	rad := func(d float64) float64 { return d * math.Pi / 180 }
	dLat, dLon := rad(b.Lat-a.Lat), rad(b.Lon-a.Lon)
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(rad(a.Lat))*math.Cos(rad(b.Lat))*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earthKM * math.Asin(min(1, math.Sqrt(h)))
}
