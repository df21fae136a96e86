// SPDX-License-Identifier: Apache-2.0
// Transcendental functions on a value type V (scalar or vector), float32 and float64:
// the same text for every instruction set and for CUDA. Bounds of their errors stand
// beside them; docs/accuracy.md has the errors measured over all floats.
#pragma once

#include "shared/math/erf.h"
#include "shared/math/exp.h"
#include "shared/math/log.h"
#include "shared/math/logistic.h"
#include "shared/math/power.h"
#include "shared/math/trig.h"
