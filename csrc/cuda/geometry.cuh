// SPDX-License-Identifier: Apache-2.0
// Windows that slide over images (images, 3 spatial axes, channels); rules give images
// with fewer axes some of size 1.
#pragma once

#include "cuda/gemm.cuh"

namespace fastnn::device {

constexpr int kSpatial = 3;

struct Place {
  int at[kSpatial];
};

FASTNN_DEVICE Place place_of(int64_t i, const int (&size)[kSpatial]) {
  Place p;
  for (int d = kSpatial - 1; d >= 0; --d) {
    const int64_t next = i / size[d];
    p.at[d] = static_cast<int>(i - next * size[d]);
    i = next;
  }
  return p;
}

// i = o stride + k dilation - pad; `in` are the sizes that windows slide over.
struct Geometry {
  int in[kSpatial], out[kSpatial], window[kSpatial];
  int stride[kSpatial], dilation[kSpatial], pad[kSpatial];

  // Numbers [first, first + 18).
  template <int n>
  FASTNN_DEVICE Geometry(const Number (&number)[n], int first) {
    int* const fields[6] = {in, out, window, stride, dilation, pad};
    for (int f = 0; f < 6; ++f)
      for (int d = 0; d < kSpatial; ++d)
        fields[f][d] = static_cast<int>(number[first + f * kSpatial + d].i);
  }
  static FASTNN_DEVICE int64_t count(const int (&size)[kSpatial]) {
    return static_cast<int64_t>(size[0]) * size[1] * size[2];
  }
  // The input under element k of the window of output o; false where there is none.
  FASTNN_DEVICE bool input(const Place& o, const Place& k, Place& i) const {
    bool inside = true;
    for (int d = 0; d < kSpatial; ++d) {
      i.at[d] = o.at[d] * stride[d] + k.at[d] * dilation[d] - pad[d];
      inside = inside && i.at[d] >= 0 && i.at[d] < in[d];
    }
    return inside;
  }
  // The output whose window has input i as its element k.
  FASTNN_DEVICE bool output(const Place& i, const Place& k, Place& o) const {
    bool inside = true;
    for (int d = 0; d < kSpatial; ++d) {
      const int t = i.at[d] + pad[d] - k.at[d] * dilation[d];
      o.at[d] = t / stride[d];
      inside = inside && t >= 0 && o.at[d] * stride[d] == t && o.at[d] < out[d];
    }
    return inside;
  }
};

// Of an image view (images, 3 axes, channels).
FASTNN_DEVICE int64_t pixel_offset(const View& x, int64_t image, const Place& p) {
  int64_t offset = image * x.stride[0];
  for (int d = 0; d < kSpatial; ++d)
    offset += p.at[d] * x.stride[1 + d];
  return offset;
}
// Of a filter view (3 axes, inputs, outputs).
FASTNN_DEVICE int64_t tap_offset(const View& w, const Place& k) {
  int64_t offset = 0;
  for (int d = 0; d < kSpatial; ++d)
    offset += k.at[d] * w.stride[d];
  return offset;
}

}  // namespace fastnn::device
