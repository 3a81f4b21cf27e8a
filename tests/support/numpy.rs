//! What `numpy.random.seed(s); numpy.random.randn(..)` draws: MT19937 (Matsumoto and Nishimura, ACM
//! TOMACS 1998) and Marsaglia's polar method, as its legacy generator combines them.

/// `count` vectors of `length` standard normals, drawn one vector after the other.
pub(crate) fn normals(seed: u32, count: usize, length: usize) -> Vec<Vec<f64>> {
    let mut generator = Generator { twister: Twister::seeded(seed), spare: None };
    (0..count).map(|_| (0..length).map(|_| generator.normal()).collect()).collect()
}

struct Generator {
    twister: Twister,
    /// Normals come in pairs.
    spare: Option<f64>,
}

impl Generator {
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let first = 2.0 * self.twister.uniform() - 1.0;
            let second = 2.0 * self.twister.uniform() - 1.0;
            let square = first * first + second * second;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(factor * first);
                return factor * second;
            }
        }
    }
}

struct Twister {
    state: [u32; 624],
    next: usize,
}

impl Twister {
    fn seeded(seed: u32) -> Self {
        let mut state = [seed; 624];
        for k in 1..624 {
            let last = state[k - 1];
            state[k] = 1_812_433_253u32.wrapping_mul(last ^ last >> 30).wrapping_add(k as u32);
        }
        Twister { state, next: 624 }
    }

    fn word(&mut self) -> u32 {
        if self.next == 624 {
            for k in 0..624 {
                let mixed = self.state[k] & 0x8000_0000 | self.state[(k + 1) % 624] & 0x7fff_ffff;
                let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[k] = self.state[(k + 397) % 624] ^ mixed >> 1 ^ odd;
            }
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }

    /// 53 bits below 1.
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }
}

#[test]
fn the_first_draws_are_known() {
    let drawn = normals(12345, 1, 3).concat();
    let known = [-0.204_707_659_484_712_95, 0.478_943_338_057_548_24, -0.519_438_715_056_738_1];
    for (drawn, known) in drawn.iter().zip(known) {
        assert!((drawn - known).abs() < 1e-15, "{drawn} is not {known}");
    }
}
