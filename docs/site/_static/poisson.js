// Seamless cloning in plain JavaScript: what `course_lib.blending.seamless_clone` solves, by the
// same means, a multigrid cycle within conjugate gradients. Lesson 01 writes the equation down.
// Pérez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003; its equations are cited as "eq.".
"use strict";
(() => {
  const TOL = 1 / 1536;  // of what is missing in any pixel, in intensity
  const MAX_STEPS = 60;
  const COARSEST = 4;  // pixels along a side, from where on sweeps alone solve
  const TIE = 1e-6;  // differences of bytes over 255 that differ by less are the same
  const SERIES = [0, 0.03, -0.12, 0.02, 0.1], WEAKEST = 0.7;  // as in course_lib/solvers/multigrid.py

  // The negative Laplacian on a region, at one resolution. Grids have a rim of one pixel of zeros,
  // so that each pixel has four neighbours; `degree` counts those that are inside or known.
  class Level {
    constructor(width, height, inside, ties) {
      Object.assign(this, { width, height, stride: width + 2, inside, ties });
      const size = (width + 2) * (height + 2), stride = this.stride;
      for (const name of ["degree", "inverse", "e", "r"]) this[name] = new Float64Array(size);
      for (let at = stride; at < size - stride; at++) {
        if (!inside[at]) continue;
        this.degree[at] = inside[at - 1] + inside[at + 1] + inside[at - stride]
          + inside[at + stride] + ties[at];
        this.inverse[at] = this.degree[at] > 0 ? 1 / this.degree[at] : 0;
      }
      this.first = stride + 1;
      this.last = size - stride - 2;
    }

    apply(u, out) {  // the operator, A u
      const { stride, inside, degree } = this;
      for (let at = this.first; at <= this.last; at++) {
        out[at] = inside[at] * (degree[at] * u[at]
          - u[at - 1] - u[at + 1] - u[at - stride] - u[at + stride]);
      }
    }

    sweep(e, r, backwards) {  // Gauss and Seidel's: each pixel's equation solved for itself
      const { stride, inverse, first, last } = this, way = backwards ? -1 : 1;
      for (let at = backwards ? last : first; at >= first && at <= last; at += way) {
        e[at] = inverse[at] * (r[at] + e[at - 1] + e[at + 1] + e[at - stride] + e[at + stride]);
      }
    }

    // Half the resolution: a coarse pixel is inside if any of its four is, and has their ties.
    coarser() {
      const width = (this.width + 1) >> 1, height = (this.height + 1) >> 1, stride = width + 2;
      const inside = new Float64Array(stride * (height + 2)), ties = new Float64Array(inside.length);
      this.forPairs((fine, coarse) => {
        inside[coarse] += this.inside[fine];
        ties[coarse] += this.ties[fine];
      });
      for (let at = 0; at < ties.length; at++) {
        ties[at] /= Math.max(WEAKEST, 1 + SERIES[inside[at]] * ties[at]);
        inside[at] = inside[at] > 0 ? 1 : 0;
      }
      return new Level(width, height, inside, ties);
    }

    forPairs(act) {  // each pixel, and the coarse one that it lies in
      const stride = ((this.width + 1) >> 1) + 2;
      for (let y = 0; y < this.height; y++) {
        for (let x = 0; x < this.width; x++) {
          act((y + 1) * this.stride + x + 1, ((y >> 1) + 1) * stride + (x >> 1) + 1);
        }
      }
    }

    // Between a pixel and the four coarse ones around it pass 9, 3, 3 and 1 sixteenths (bilinear).
    restrict(left, coarse) {
      const out = coarse.r.fill(0), { stride } = coarse;
      for (let y = 0; y < this.height; y++) {
        const down = y & 1 ? stride : -stride;
        let from = (y + 1) * this.stride + 1;
        for (let x = 0; x < this.width; x++, from++) {
          const value = left[from] / 16;
          if (value === 0) continue;
          const at = ((y >> 1) + 1) * stride + (x >> 1) + 1, beside = x & 1 ? 1 : -1;
          out[at] += 9 * value;
          out[at + beside] += 3 * value;
          out[at + down] += 3 * value;
          out[at + down + beside] += value;
        }
      }
      for (let at = 0; at < out.length; at++) out[at] *= coarse.inside[at];
    }

    addCoarse(e, coarse) {
      const { stride } = coarse, c = coarse.e;
      for (let y = 0; y < this.height; y++) {
        const down = y & 1 ? stride : -stride;
        let to = (y + 1) * this.stride + 1;
        for (let x = 0; x < this.width; x++, to++) {
          if (!this.inside[to]) continue;
          const at = ((y >> 1) + 1) * stride + (x >> 1) + 1, beside = x & 1 ? 1 : -1;
          e[to] += (9 * c[at] + 3 * (c[at + beside] + c[at + down]) + c[at + down + beside]) / 16;
        }
      }
    }
  }

  class Multigrid {
    constructor(width, height, inside, ties) {
      this.levels = [new Level(width, height, inside, ties)];
      for (let level = this.levels[0]; Math.max(level.width, level.height) > COARSEST;) {
        this.levels.push(level = level.coarser());
      }
      const size = inside.length;
      [this.p, this.ap, this.left] = [0, 0, 0].map(() => new Float64Array(size));
    }

    // About A⁻¹ r, into `e` of the level: sweep, correct on half the resolution, sweep back.
    cycle(index, r) {
      const level = this.levels[index], below = this.levels[index + 1], e = level.e.fill(0);
      const sweeps = below ? 1 : 8;
      for (let turn = 0; turn < sweeps; turn++) level.sweep(e, r, false);
      if (below) {
        const left = index ? new Float64Array(r.length) : this.left;
        level.apply(e, left);
        for (let at = 0; at < r.length; at++) left[at] = level.inside[at] * r[at] - left[at];
        level.restrict(left, below);
        this.cycle(index + 1, below.r);
        level.addCoarse(e, below);
      }
      for (let turn = 0; turn < sweeps; turn++) level.sweep(e, r, true);
      return e;
    }

    // u with A u = b, by conjugate gradients; what b holds is used up.
    solve(b) {
      const [finest] = this.levels, u = new Float64Array(b.length), { p, ap } = this, r = b;
      let before = 0;
      p.fill(0);
      for (let step = 0; step < MAX_STEPS; step++) {
        const z = this.cycle(0, r);
        let most = 0, now = 0;
        for (let at = 0; at < r.length; at++) {
          most = Math.max(most, Math.abs(z[at]));
          now += r[at] * z[at];
        }
        if (most < TOL / 2) break;  // z is about what is missing
        const turn = before ? now / before : 0;
        for (let at = 0; at < p.length; at++) p[at] = z[at] + turn * p[at];
        finest.apply(p, ap);
        let along = 0;
        for (let at = 0; at < p.length; at++) along += p[at] * ap[at];
        const length = now / along;
        for (let at = 0; at < p.length; at++) {
          u[at] += length * p[at];
          r[at] -= length * ap[at];
        }
        before = now;
      }
      return u;
    }
  }

  // Clone what `mask` selects in `source` into `target`, its corner at (left, top).
  //
  // Pictures are { width, height, data } with RGBA bytes, as a canvas hands them out; the mask has
  // a number for each pixel of the source, 0 outside. What hangs over the target is dropped. With
  // `mixed`, of each pair of neighbours the larger difference counts (eq. 12), else the source's.
  // Returns the box that changed, { left, top, width, height, stride, inside, values }: of each
  // channel intensities in about [0, 1], on rows of `stride` with a rim of one pixel; or null where
  // nothing lands in the target.
  function clone(source, target, mask, left, top, mixed) {
    const box = landing(source, target, mask, left, top);
    if (!box) return null;
    const multigrid = new Multigrid(box.width, box.height, box.inside, box.ties);
    box.values = [0, 1, 2].map((channel) => {
      const f = part(target, box, 0, 0, channel), g = part(source, box, left, top, channel);
      const u = multigrid.solve(excess(f, g, box, mixed));
      for (let at = 0; at < u.length; at++) u[at] += f[at];
      return u;
    });
    return box;
  }

  // Where the mask lands in the target: its box with one pixel around it, as far as the target
  // goes, and how many known neighbours tie each pixel.
  function landing(source, target, mask, left, top) {
    let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
    const lands = (x, y) => x >= 0 && y >= 0 && x < target.width && y < target.height;
    for (let at = 0; at < mask.length; at++) {
      const x = at % source.width + left, y = Math.floor(at / source.width) + top;
      if (!mask[at] || !lands(x, y)) continue;
      [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x), Math.max(y1, y)];
    }
    if (x1 < x0) return null;
    [x0, y0] = [Math.max(x0 - 1, 0), Math.max(y0 - 1, 0)];
    [x1, y1] = [Math.min(x1 + 2, target.width), Math.min(y1 + 2, target.height)];
    const box = { left: x0, top: y0, width: x1 - x0, height: y1 - y0, stride: x1 - x0 + 2 };
    box.inside = new Float64Array(box.stride * (box.height + 2));
    box.ties = new Float64Array(box.inside.length);
    each(box, (x, y, at) => {
      const there = x - left >= 0 && y - top >= 0 && x - left < source.width && y - top < source.height;
      box.inside[at] = there && mask[(y - top) * source.width + x - left] ? 1 : 0;
    });
    const steps = [[-1, 0, -1], [1, 0, 1], [0, -1, -box.stride], [0, 1, box.stride]];
    let known = 0;
    each(box, (x, y, at) => {
      if (!box.inside[at]) return;
      for (const [dx, dy, next] of steps) {
        if (lands(x + dx, y + dy) && !box.inside[at + next]) known += box.ties[at] += 1;
      }
    });
    return known ? box : null;  // a piece that covers all leaves no colour to begin from
  }

  function each(box, act) {
    for (let y = 0; y < box.height; y++) {
      for (let x = 0; x < box.width; x++) {
        act(x + box.left, y + box.top, (y + 1) * box.stride + x + 1);
      }
    }
  }

  // One channel of a picture where the box lies, its border pixels repeated beyond it.
  function part(picture, box, left, top, channel) {
    const out = new Float64Array(box.inside.length), { width, height, data } = picture;
    each(box, (x, y, at) => {
      const column = Math.min(Math.max(x - left, 0), width - 1);
      const row = Math.min(Math.max(y - top, 0), height - 1);
      out[at] = data[4 * (row * width + column) + channel] / 255;
    });
    return out;
  }

  // div (∇f - v) inside: by how much the target misses the wish, which a correction makes good.
  function excess(f, g, box, mixed) {
    const b = new Float64Array(f.length), { stride, inside } = box;
    const pair = (at, next) => {
      const own = f[next] - f[at], wished = g[next] - g[at];
      const missing = mixed && Math.abs(own) > Math.abs(wished) + TIE ? 0 : own - wished;
      b[at] += inside[at] * missing;
      b[next] -= inside[next] * missing;
    };
    each(box, (x, y, at) => {
      if (x + 1 < box.left + box.width) pair(at, at + 1);
      if (y + 1 < box.top + box.height) pair(at, at + stride);
    });
    return b;
  }

  globalThis.poisson = { clone };
})();
